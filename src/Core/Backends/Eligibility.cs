using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Backends;

/// <summary>Why a backend is passed over for a request.</summary>
internal enum Obstacle
{
    None,
    Disabled,
    Drained,
    WrongModel,
    WrongTags,
    Excluded,
    ModelAbsent,
    Misconfigured,
    CircuitOpen,
    TrialRunning,
    Parked,
    Full,
    SlowStart,
}

/// <summary>Which backends may take a request: the rules that every strategy, store and explanation share.</summary>
internal static class Eligibility
{
    /// <summary>The smallest share of its traffic that a recovering backend gets.</summary>
    private const double LeastSlowStartShare = 0.1;

    /// <summary>The first obstacle that configuration and the request itself put up; nothing that time could change.</summary>
    public static Obstacle Standing(in AcquireRequest request, int index)
    {
        var backend = request.Pool.Backends[index];
        return request.Only is >= 0 and var only && only != index ? Obstacle.Excluded
            : request.Excluded.Contains(index) ? Obstacle.Excluded
            : !backend.Enabled ? Obstacle.Disabled
            : backend.Weight == 0 || backend.Draining ? Obstacle.Drained
            : !backend.Serves(request.Model) ? Obstacle.WrongModel
            : request.Tags is { Length: > 0 } tags && !backend.HasAll(tags) ? Obstacle.WrongTags
            : Obstacle.None;
    }

    /// <summary>Whether <see cref="Standing"/> finds nothing for any request that passes <see cref="AsksForNothing"/>.</summary>
    public static bool TakesAny(Backend backend) =>
        backend is { Enabled: true, Weight: > 0, Draining: false } && (backend.ModelName is not null || backend.Models.Count == 0);

    /// <summary>Whether the request would be content with any backend that serves its model.</summary>
    public static bool AsksForNothing(in AcquireRequest request) =>
        request.Only is not >= 0 && request.Tags is not { Length: > 0 } && request.Excluded.IsEmpty;

    /// <summary>Whether <see cref="Passing"/> finds nothing, told by a glance; false decides nothing. With hundreds of backends this is most of what choosing costs.</summary>
    public static bool IsClear(Vitals vitals, int maxConnections, long slowStartMs, long nowMs) =>
        vitals.InFlight < maxConnections
        && vitals.Circuit == CircuitState.Closed
        && vitals.AbsentModels is null
        && nowMs - vitals.RecoveredAtMs >= slowStartMs
        && nowMs >= vitals.ParkedUntilMs
        && !vitals.Misconfigured;

    /// <summary>
    /// The first obstacle that the backend's condition puts up. <see cref="Obstacle.SlowStart"/> is the weakest of them: such a
    /// backend is used when no other of its group is free.
    /// </summary>
    public static Obstacle Passing(in AcquireRequest request, Backend backend, Vitals vitals, long nowMs)
    {
        if (request.Model is { } model && vitals.AbsentModels is { } absent
            && absent.TryGetValue(model, out var absentUntilMs) && nowMs < absentUntilMs)
        {
            return Obstacle.ModelAbsent;
        }

        if (!request.Panic)
        {
            if (vitals.Misconfigured && request.Pool.Options.HealthCheckEnabled)
            {
                return Obstacle.Misconfigured;
            }

            if (vitals.Circuit == CircuitState.Open && nowMs < vitals.OpenUntilMs)
            {
                return Obstacle.CircuitOpen;
            }

            if (vitals.Circuit == CircuitState.Trial && nowMs < vitals.TrialUntilMs)
            {
                return Obstacle.TrialRunning;
            }
        }

        return nowMs < vitals.ParkedUntilMs ? Obstacle.Parked
            : vitals.InFlight >= backend.MaxConnections ? Obstacle.Full
            : request.SlowStartRoll >= SlowStartShare(request.Pool.Options, vitals, nowMs) ? Obstacle.SlowStart
            : Obstacle.None;
    }

    /// <summary>What stands between the request and each backend, in the pool's order; <see cref="Obstacle.None"/> where nothing does.</summary>
    public static Obstacle[] Explain(in AcquireRequest request, PoolSnapshot snapshot)
    {
        var obstacles = new Obstacle[request.Pool.Backends.Length];
        for (var index = 0; index < obstacles.Length; index++)
        {
            var backend = request.Pool.Backends[index];
            var standing = Standing(request, index);
            obstacles[index] = standing != Obstacle.None ? standing
                : Passing(request, backend, snapshot.For(backend.Name, index).Vitals, snapshot.NowMs);
        }

        return obstacles;
    }

    /// <summary>The share, 0.1 to 1, of its usual traffic that a backend gets while it recovers.</summary>
    public static double SlowStartShare(BalancerOptions options, Vitals vitals, long nowMs)
    {
        var elapsedMs = nowMs - vitals.RecoveredAtMs;
        return vitals.RecoveredAtMs == 0 || elapsedMs >= options.SlowStart.TotalMilliseconds
            ? 1
            : Math.Max(LeastSlowStartShare, elapsedMs / options.SlowStart.TotalMilliseconds);
    }
}
