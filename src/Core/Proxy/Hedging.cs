using Roadbalancer.State;
using Roadbalancer.Stats;

namespace Roadbalancer.Proxy;

/// <summary>The attempt to go on with: ready to deliver, or failed for the reason given.</summary>
internal readonly record struct HedgedOpening(Attempt Attempt, AttemptOutcome? Failure);

/// <summary>
/// Opt-in (<c>hedge_after</c>): when a backend has not answered in time, the same request goes to a second one; the first to answer wins and the
/// other is cancelled. Never more than <c>hedge_ratio</c> of the requests, never for routes that must not run twice.
/// </summary>
internal sealed class Hedging(IBalancerState state, TimeProvider time, BalancerMetrics metrics)
{
    /// <summary>Samples without which a percentile says too little to hedge by.</summary>
    private const int LeastSamples = 20;

    private static readonly TimeSpan SnapshotAge = TimeSpan.FromSeconds(5);

    private readonly AttemptBudget _budget = new(time);
    private volatile PoolSnapshot? _snapshot;
    private long _snapshotAt;

    public static bool AppliesTo(Exchange exchange) => exchange.Pool.Options.HedgeAfter is not null && exchange.IsRepeatable && exchange.Body.Length > 0;

    /// <summary>Opens <paramref name="first"/>, and a rival if it is slow; the one that is not returned has been settled and disposed.</summary>
    public async Task<HedgedOpening> OpenAsync(
        Exchange exchange, RetryPlan plan, Attempt first, bool canGoElsewhere,
        Func<Exchange, Lease, JoinMode, Attempt> begin, Action<Attempt, AttemptOutcome> settle)
    {
        _budget.CountRequest();
        var opening = first.OpenAsync(canGoElsewhere).AsTask();
        (Attempt Attempt, Task<AttemptOutcome?> Opening)? second = null;
        try
        {
            if (!canGoElsewhere || await RivalAsync(exchange, plan, first, opening) is not { } lease)
            {
                return new(first, await opening);
            }

            metrics.Hedged();
            var rival = begin(exchange, lease, JoinMode.None);
            second = (rival, rival.OpenAsync(canGoElsewhere).AsTask());
            return await RaceAsync(plan, (first, opening), second.Value, settle);
        }
        catch
        {
            // A bug: neither attempt may be left behind, running and unsettled. The first is settled by who began it.
            await EndAsync(first, opening);
            if (second is { } left)
            {
                await EndAsync(left.Attempt, left.Opening);
                settle(left.Attempt, new AttemptOutcome(OutcomeKind.Superseded) { Detail = "internal error" });
                left.Attempt.Dispose();
            }

            throw;
        }
    }

    private static async Task EndAsync(Attempt attempt, Task<AttemptOutcome?> opening)
    {
        attempt.Supersede();
        await ((Task)opening).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>A place for a rival, once the first attempt has taken too long; null when there is to be none.</summary>
    private async ValueTask<Lease?> RivalAsync(Exchange exchange, RetryPlan plan, Attempt first, Task<AttemptOutcome?> opening)
    {
        try
        {
            return await DelayAsync(exchange, first.Lease) is { } delay && !await EndsWithinAsync(opening, delay)
                && _budget.TryTake(exchange.Pool.Options.HedgeRatio, floor: 0)
                ? await state.AcquireAsync(plan.AnyBut(first.Lease.Index), exchange.ClientLeft)
                : null;
        }
        catch (OperationCanceledException)
        {
            // The client left: the first attempt ends by itself, and says so.
            return null;
        }
    }

    private static async Task<HedgedOpening> RaceAsync(
        RetryPlan plan, (Attempt Attempt, Task<AttemptOutcome?> Opening) a, (Attempt Attempt, Task<AttemptOutcome?> Opening) b,
        Action<Attempt, AttemptOutcome> settle)
    {
        if (await Task.WhenAny(a.Opening, b.Opening) == b.Opening)
        {
            (a, b) = (b, a);
        }

        // a has ended first. If it failed, b may still win; its own end decides then.
        var ended = await a.Opening;
        if (ended is null)
        {
            b.Attempt.Supersede();
            Drop(b.Attempt, await b.Opening ?? new AttemptOutcome(OutcomeKind.Superseded));
            return new(a.Attempt, null);
        }

        plan.Note(a.Attempt.Lease.Index, ended);
        Drop(a.Attempt, ended);
        return new(b.Attempt, await b.Opening);

        void Drop(Attempt attempt, AttemptOutcome outcome)
        {
            settle(attempt, outcome);
            attempt.Dispose();
        }
    }

    private async Task<bool> EndsWithinAsync(Task<AttemptOutcome?> opening, TimeSpan delay)
    {
        using var over = new CancellationTokenSource();
        var ended = await Task.WhenAny(opening, Task.Delay(delay, time, over.Token)) == opening;
        await over.CancelAsync();
        return ended;
    }

    /// <summary>When to send a rival; null for not at all.</summary>
    private async ValueTask<TimeSpan?> DelayAsync(Exchange exchange, Lease lease)
    {
        if (exchange.Pool.Options.HedgeAfter is not { } configured || configured > TimeSpan.Zero)
        {
            return exchange.Pool.Options.HedgeAfter;
        }

        if (_snapshot is null || time.GetElapsedTime(Interlocked.Read(ref _snapshotAt)) > SnapshotAge)
        {
            Interlocked.Exchange(ref _snapshotAt, time.GetTimestamp());
            _snapshot = await state.ReadAsync(exchange.Pool.Name, exchange.ClientLeft);
        }

        var totals = _snapshot.For(lease.Backend.Name, lease.Index).Totals;
        Histogram histogram = exchange.Facts.Stream ? totals.FirstToken : totals.Duration;
        return histogram.Count < LeastSamples ? null : TimeSpan.FromMilliseconds(histogram.Percentile(0.95));
    }
}
