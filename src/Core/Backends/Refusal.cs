using Roadbalancer.Health;
using Roadbalancer.State;

namespace Roadbalancer.Backends;

/// <summary>Why no backend takes a request.</summary>
internal enum RefusalReason
{
    /// <summary>By now one could: ask again.</summary>
    None,

    /// <summary>No backend serves the model, or all that would were found not to have it.</summary>
    NoModel,

    /// <summary>No backend that serves the model has all the tags.</summary>
    NoTags,

    /// <summary>Every backend that would do is excluded: tried already, or unfit for what the request needs.</summary>
    AllExcluded,

    /// <summary>All that work asked to be left alone.</summary>
    Throttled,

    /// <summary>All that work are at their limit, or at their limit and parked.</summary>
    Full,

    /// <summary>None works: disabled, drained, circuit open or misconfigured.</summary>
    Unhealthy,
}

/// <summary>What stands between a request and the pool as a whole: what the wait queue and the refusal need to know.</summary>
internal readonly record struct Refusal(RefusalReason Reason)
{
    /// <summary>The soonest time at which any backend may take the request without a place being given back; null when none will by time alone.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The soonest time at which a backend that is merely parked comes free; null without one.</summary>
    public TimeSpan? SoonestFree { get; init; }

    /// <summary>Some working backend is parked.</summary>
    public bool AnyParked { get; init; }

    /// <summary>Some working backend is merely full: a place given back lets the request in.</summary>
    public bool AnyFull { get; init; }

    /// <summary>Some backend is kept out by its circuit or a running trial.</summary>
    public bool AnyCircuitOpen { get; init; }

    /// <summary>Reads the pool's condition for <paramref name="request"/> from <paramref name="snapshot"/>.</summary>
    public static Refusal Of(in AcquireRequest request, PoolSnapshot snapshot)
    {
        var obstacles = Eligibility.Explain(request, snapshot);
        if (Array.IndexOf(obstacles, Obstacle.None) >= 0 || Array.IndexOf(obstacles, Obstacle.SlowStart) >= 0)
        {
            return new Refusal(RefusalReason.None) { RetryAfter = TimeSpan.Zero, AnyFull = Array.IndexOf(obstacles, Obstacle.Full) >= 0 };
        }

        if (Misfit(request) is var misfit and not RefusalReason.None)
        {
            return new Refusal(misfit);
        }

        long? freeMs = null, parkedMs = null;
        for (var index = 0; index < obstacles.Length; index++)
        {
            if (obstacles[index] is Obstacle.Parked or Obstacle.CircuitOpen or Obstacle.TrialRunning)
            {
                var untilMs = FreeAtMs(snapshot.For(request.Pool.Backends[index].Name, index).Vitals);
                freeMs = Math.Min(freeMs ?? untilMs, untilMs);
                parkedMs = obstacles[index] == Obstacle.Parked ? Math.Min(parkedMs ?? untilMs, untilMs) : parkedMs;
            }
        }

        var parked = parkedMs is not null;
        var full = Array.IndexOf(obstacles, Obstacle.Full) >= 0;
        return new Refusal(full ? RefusalReason.Full : parked ? RefusalReason.Throttled : Unfit(obstacles))
        {
            RetryAfter = After(freeMs, snapshot.NowMs),
            SoonestFree = After(parkedMs, snapshot.NowMs),
            AnyParked = parked,
            AnyFull = full,
            AnyCircuitOpen = obstacles.Any(obstacle => obstacle is Obstacle.CircuitOpen or Obstacle.TrialRunning),
        };
    }

    /// <summary>What no passing of time would change. Disabled backends count: a model that only they serve exists.</summary>
    private static RefusalReason Misfit(in AcquireRequest request)
    {
        bool served = false, tagged = false, left = false;
        for (var index = 0; index < request.Pool.Backends.Length; index++)
        {
            var backend = request.Pool.Backends[index];
            var serves = backend.Serves(request.Model);
            var fits = serves && backend.HasAll(request.Tags);
            served |= serves;
            tagged |= fits;
            left |= fits && Eligibility.Standing(request, index) != Obstacle.Excluded;
        }

        return !served ? RefusalReason.NoModel : !tagged ? RefusalReason.NoTags : !left ? RefusalReason.AllExcluded : RefusalReason.None;
    }

    /// <summary>With nothing parked or full: lacking the model when that alone is in the way of all that could be asked, else unhealthy.</summary>
    private static RefusalReason Unfit(Obstacle[] obstacles) =>
        Array.IndexOf(obstacles, Obstacle.ModelAbsent) >= 0 && !obstacles.Any(obstacle =>
            obstacle is Obstacle.CircuitOpen or Obstacle.TrialRunning or Obstacle.Misconfigured)
            ? RefusalReason.NoModel
            : RefusalReason.Unhealthy;

    private static long FreeAtMs(Vitals vitals) => Math.Max(
        vitals.ParkedUntilMs,
        vitals.Circuit switch
        {
            CircuitState.Open => vitals.OpenUntilMs,
            CircuitState.Trial => vitals.TrialUntilMs,
            _ => 0,
        });

    private static TimeSpan? After(long? atMs, long nowMs) => atMs is { } at ? TimeSpan.FromMilliseconds(Math.Max(0, at - nowMs)) : null;
}
