using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Health;

/// <summary>
/// One round of probes when somebody else keeps the time, the timer of a platform for instance: a call that comes before <c>health_check.interval</c> is
/// over is skipped, two rounds never overlap, and none outlasts the interval.
/// </summary>
internal sealed class ProbeRun(PoolSource pools, HealthProbe probe, ProbeTurn turn, TimeProvider time)
{
    /// <summary>Part of the interval after which a call counts as the next: timers are not exact.</summary>
    private const double Share = 0.85;

    private int _running;
    private (long At, Pool Pool)? _last;

    /// <summary>Probes every backend, if that is due; tells in a line what was done, or why nothing.</summary>
    public async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        if (Interlocked.Exchange(ref _running, 1) == 1)
        {
            return "Skipped: the round before is still under way";
        }

        try
        {
            var pool = pools.Current;
            return await WhyNotAsync(pool) ?? await ProbeAsync(pool, cancellationToken);
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }

    private async ValueTask<string?> WhyNotAsync(Pool pool)
    {
        if (!pool.Options.HealthCheckEnabled)
        {
            return "Skipped: health checks are switched off (health_check.enabled)";
        }

        if (pool.Options.Mode == BalancingMode.SingleBackend)
        {
            return "Skipped: a single backend without balancing is not probed";
        }

        // A pool that changed is probed anew.
        if (_last is { } last && last.Pool == pool && time.GetElapsedTime(last.At) is var age && age < pool.Options.HealthCheckInterval * Share)
        {
            return string.Create(CultureInfo.InvariantCulture, $"Skipped: probed {age.TotalSeconds:0.#} s ago, the interval is {pool.Options.HealthCheckInterval.TotalSeconds:0.###} s");
        }

        if (!await turn.TakeAsync(pool))
        {
            return "Skipped: another instance has probed within the interval";
        }

        _last = (time.GetTimestamp(), pool);
        return null;
    }

    private async Task<string> ProbeAsync(Pool pool, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        using var timer = new CancellationTokenSource(pool.Options.HealthCheckInterval, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        try
        {
            var outcomes = await probe.ProbeAllAsync(pool, limit.Token);
            var told = pool.Backends.Zip(outcomes, static (backend, outcome) => $"{backend.Name} {Trail.NameOf(outcome.Kind)}");
            return string.Create(CultureInfo.InvariantCulture, $"Probed {outcomes.Length} backends in {time.GetElapsedTime(startedAt).TotalMilliseconds:0} ms: {string.Join(", ", told)}");
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return "Stopped: the probes took longer than the interval between them (health_check.interval)";
        }
    }
}
