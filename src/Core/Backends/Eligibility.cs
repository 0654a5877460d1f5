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
        return request.Only >= 0 && request.Only != index ? Obstacle.Excluded
            : request.Excluded.Contains(index) ? Obstacle.Excluded
            : !backend.Enabled ? Obstacle.Disabled
            : backend.Weight == 0 ? Obstacle.Drained
            : !backend.Serves(request.Model) ? Obstacle.WrongModel
            : request.Tags is { Length: > 0 } tags && !backend.HasAll(tags) ? Obstacle.WrongTags
            : Obstacle.None;
    }

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

    /// <summary>The share, 0.1 to 1, of its usual traffic that a backend gets while it recovers.</summary>
    public static double SlowStartShare(BalancerOptions options, Vitals vitals, long nowMs)
    {
        var elapsedMs = nowMs - vitals.RecoveredAtMs;
        return vitals.RecoveredAtMs == 0 || elapsedMs >= options.SlowStart.TotalMilliseconds
            ? 1
            : Math.Max(LeastSlowStartShare, elapsedMs / options.SlowStart.TotalMilliseconds);
    }
}
