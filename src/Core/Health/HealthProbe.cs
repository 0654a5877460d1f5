using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Wire;

namespace Roadbalancer.Health;

/// <summary>
/// Asks backends whether they are well (<c>health_path</c>): 2xx passes, 401 and 403 mean a wrong configuration, 429 is a sign of life,
/// anything else, or nothing within the smaller of <c>timeout</c> and 10 s, is a failure. Outcomes settle like those of requests.
/// </summary>
internal sealed class HealthProbe(IBalancerState state, Forwarder forwarder, TimeProvider time, BalancerMetrics? metrics = null)
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <summary>Probes every backend of <paramref name="pool"/> at the same time.</summary>
    /// <returns>What came of each, in the pool's order.</returns>
    public Task<AttemptOutcome[]> ProbeAllAsync(Pool pool, CancellationToken cancellationToken) =>
        Task.WhenAll(Enumerable.Range(0, pool.Backends.Length).Select(index => ProbeAsync(pool, index, cancellationToken)));

    /// <summary>Probes one backend and settles what came of it.</summary>
    public async Task<AttemptOutcome> ProbeAsync(Pool pool, int index, CancellationToken cancellationToken)
    {
        var backend = pool.Backends[index];
        var sentAt = time.GetTimestamp();
        var outcome = await AskAsync(backend, cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        outcome = outcome with { DurationMs = time.GetElapsedTime(sentAt).TotalMilliseconds };
        metrics?.ProbeEnded(pool, backend, outcome);
        await state.ReleaseAsync(Lease.ForProbe(pool, index), outcome);
        return outcome;
    }

    private async Task<AttemptOutcome> AskAsync(Backend backend, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(backend.Timeout < LongestWait ? backend.Timeout : LongestWait, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        try
        {
            using var response = await forwarder.GetAsync(backend, Forwarder.Resolve(backend, backend.HealthPath), limit.Token);
            var status = response.Head.Status;
            var kind = KindOf(status);
            if (kind == OutcomeKind.Succeeded)
            {
                await DrainAsync(response, limit.Token);
            }

            return new AttemptOutcome(kind) { Status = status, Detail = kind == OutcomeKind.Succeeded ? null : $"probe: {status}" };
        }
        catch (OperationCanceledException)
        {
            return new AttemptOutcome(OutcomeKind.TimedOut) { Detail = "probe: no answer in time" };
        }
        catch (HttpRequestException exception)
        {
            return new AttemptOutcome(OutcomeKind.ConnectFailed) { Detail = $"probe: {exception.HttpRequestError}" };
        }
        catch (IOException)
        {
            return new AttemptOutcome(OutcomeKind.ConnectionReset) { Detail = "probe: connection broke" };
        }
    }

    private static OutcomeKind KindOf(int status) => status switch
    {
        >= 200 and < 300 => OutcomeKind.Succeeded,
        401 or 403 => OutcomeKind.BadCredentials,
        429 => OutcomeKind.RateLimited,
        503 or 529 => OutcomeKind.Overloaded,
        _ => OutcomeKind.ServerError,
    };

    /// <summary>Reads the answer to its end, within reason, so that its connection can be used again.</summary>
    private static async Task DrainAsync(WireResponse response, CancellationToken cancellationToken)
    {
        var buffer = new byte[4096];
        for (var chunks = 0; chunks < 256 && await response.Body.ReadAsync(buffer, cancellationToken) > 0; chunks++)
        {
        }
    }
}
