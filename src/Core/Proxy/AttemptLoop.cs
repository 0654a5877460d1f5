using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Proxy;

/// <summary>
/// A request's way: acquire, forward, classify, release; again elsewhere, until there is an answer, or nowhere is left to go. Before
/// anything has gone to the client a failure is mended unseen; after that the answer is joined on exactly, or ends in a clear error.
/// </summary>
internal sealed partial class AttemptLoop(
    IBalancerState state, Forwarder forwarder, WaitQueue queue, AttemptBudget budget, Hedging hedging, BalancerMetrics metrics, Chance chance,
    ILogger<AttemptLoop> log)
{
    /// <summary>Answers the exchange's client.</summary>
    /// <exception cref="TruncatedAnswerException">The answer had begun and could not be completed; the client has been told.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask RunAsync(Exchange exchange)
    {
        var plan = new RetryPlan(exchange, chance);
        var ending = new Ending(exchange);
        var refusal = default(Refusal);
        ErrorAnswer? refused = null;
        budget.BeginRequest();
        try
        {
            if (exchange.MayExplain)
            {
                await ExplainAsync(exchange, plan);
            }

            var lease = default(Lease);
            if (exchange.Admission is { } admission)
            {
                (refused, lease) = await AdmitAsync(exchange, admission, plan);
            }

            if (refused is null && lease is null)
            {
                (lease, refusal) = await exchange.WaitAsync(AcquireFirstAsync(exchange, plan));
            }

            while (lease is not null)
            {
                var (attempt, outcome) = await TryAsync(exchange, plan, lease);
                using (attempt)
                {
                    ending.Note(attempt, outcome);
                }

                if (ending.IsOver)
                {
                    break;
                }

                plan.Note(attempt.Lease.Index, outcome);
                lease = IsWorthAnother(exchange, outcome) ? await exchange.WaitAsync(NextAsync(exchange, plan, attempt.Lease.Index, outcome)) : null;
            }
        }
        catch (OperationCanceledException) when (exchange.ClientLeft.IsCancellationRequested)
        {
            // It left while it waited for a place: attempts tell of that themselves.
            ending.NoteLeft();
        }
        finally
        {
            budget.EndRequest();
        }

        if (refused is not null)
        {
            await RefuseAsync(exchange, refused);
            return;
        }

        Report(exchange, ending);
        if (ending.ReasonOf(refusal) is { } reason)
        {
            metrics.Refused(reason);
        }

        await ending.WriteAsync(refusal);
    }

    /// <summary>One backend, no balancing: straight on, without selection, retries or counting.</summary>
    /// <exception cref="TruncatedAnswerException">The answer had begun and could not be completed; the client has been told.</exception>
    public async ValueTask RunDirectAsync(Exchange exchange)
    {
        if (exchange.Admission is { } admission && await admission.ReserveAsync() is { } refused)
        {
            await RefuseAsync(exchange, refused);
            return;
        }

        var ending = new Ending(exchange);
        using var attempt = Begin(exchange, Lease.ForProbe(exchange.Pool, 0), JoinMode.None);
        var outcome = await exchange.WaitAsync(attempt.OpenAsync(canGoElsewhere: false)) ?? await attempt.DeliverAsync();
        attempt.Record.Outcome = outcome;
        metrics.AttemptEnded(attempt.Lease, outcome);
        attempt.Span?.End(outcome, attempt.Record.Join);
        ending.Note(attempt, outcome);
        Report(exchange, ending);
        await ending.WriteAsync(default);
    }

    /// <summary>
    /// Reserves what the key's limits ask for. Where that takes a round trip, a place on a backend is asked for in the same one; a refusal gives it
    /// back. A key that was at its limit a moment ago takes no places that it cannot use.
    /// </summary>
    private async ValueTask<(ErrorAnswer? Refused, Lease? Lease)> AdmitAsync(Exchange exchange, Admission admission, RetryPlan plan)
    {
        var isDoubtful = admission.IsDoubtful;
        var reserving = admission.ReserveAsync();
        if (reserving.IsCompleted || isDoubtful || queue.Waiting > 0)
        {
            return (await reserving, null);
        }

        ErrorAnswer? refused;
        Lease? lease = null;
        try
        {
            lease = await state.AcquireAsync(plan.Any(), exchange.ClientLeft);
        }
        finally
        {
            refused = await reserving;
        }

        if (refused is not null && lease is not null)
        {
            Forget(state.ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.Superseded) { Detail = "its key is at a limit" }));
            queue.Pulse();
            lease = null;
        }

        return (refused, lease);
    }

    private async Task RefuseAsync(Exchange exchange, ErrorAnswer refused)
    {
        metrics.RequestEnded(exchange, null, null);
        metrics.Refused("key_limited");
        exchange.Span?.Describe(exchange, "key_limited", null);
        exchange.Admission?.WriteHeaders(exchange.Http.Response.Headers);
        await refused.WriteAsync(exchange.Http, exchange.RequestId);
    }

    private async ValueTask<Acquisition> AcquireFirstAsync(Exchange exchange, RetryPlan plan)
    {
        var acquired = await queue.AcquireAsync(exchange, plan.Any());
        return acquired.Lease is null ? acquired with { Lease = await PanicAsync(exchange, plan) } : acquired;
    }

    /// <summary><c>X-Debug-Routing: 1</c>: each backend of the pool, those passed over with the reason in brackets.</summary>
    private async ValueTask ExplainAsync(Exchange exchange, RetryPlan plan)
    {
        var obstacles = Eligibility.Explain(plan.Any(), await state.ReadVitalsAsync(exchange.Pool, exchange.ClientLeft));
        exchange.Http.Response.Headers["X-Routing-Candidates"] = string.Join(", ", exchange.Pool.Backends.Select((backend, index) =>
            obstacles[index] == Obstacle.None ? backend.Name : $"{backend.Name} ({Trail.SnakeCase(obstacles[index].ToString())})"));
        exchange.Http.Response.Headers["X-Routing-Strategy"] = exchange.Pool.Strategy.Name;
    }

    /// <summary>One attempt from its lease to its settled outcome; where hedging is on, the better of two.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(Attempt Attempt, AttemptOutcome Outcome)> TryAsync(Exchange exchange, RetryPlan plan, Lease lease)
    {
        var join = JoinFor(exchange, plan, lease.Backend);
        var attempt = Begin(exchange, lease, join);
        try
        {
            var canGoElsewhere = exchange.Pool.Options.FallbackOnFailure && plan.HasOther(lease.Index);
            var opened = Hedging.AppliesTo(exchange) && join == JoinMode.None
                ? await exchange.WaitAsync(hedging.OpenAsync(exchange, plan, attempt, canGoElsewhere, Begin, Settle))
                : new HedgedOpening(attempt, await exchange.WaitAsync(attempt.OpenAsync(canGoElsewhere)));
            attempt = opened.Attempt;
            var outcome = opened.Failure ?? await attempt.DeliverAsync();
            Settle(attempt, outcome);
            if (attempt.Record.Join is not JoinMode.None and var joined)
            {
                metrics.RecoveryEnded(outcome.Kind == OutcomeKind.Succeeded);
                LogJoined(exchange.RequestId, lease.Backend.Name, joined, outcome.Kind);
            }

            return (attempt, outcome);
        }
        catch
        {
            // Not an outcome but a bug: the place goes back all the same.
            Settle(attempt, new AttemptOutcome(OutcomeKind.Superseded) { Detail = "internal error" });
            attempt.Dispose();
            throw;
        }
    }

    private Attempt Begin(Exchange exchange, Lease lease, JoinMode join)
    {
        var attempt = new Attempt(exchange, lease, forwarder, join);
        exchange.Attempts.Add(attempt.Record);
        return attempt;
    }

    private void Settle(Attempt attempt, AttemptOutcome outcome)
    {
        attempt.Record.Outcome = outcome;
        Forget(state.ReleaseAsync(attempt.Lease, outcome));
        queue.Pulse();
        metrics.AttemptEnded(attempt.Lease, outcome);
        attempt.Span?.End(outcome, attempt.Record.Join);
        if (attempt.MalformedEvents > 0)
        {
            metrics.Dropped(attempt.MalformedEvents);
            LogDropped(attempt.RequestId, attempt.Lease.Backend.Name, attempt.MalformedEvents);
        }
    }

    private static void Forget(ValueTask release)
    {
        if (!release.IsCompletedSuccessfully)
        {
            // A store does not throw and bounds its own time; nothing waits for it.
            _ = release.AsTask();
        }
    }

    private bool IsWorthAnother(Exchange exchange, AttemptOutcome outcome)
    {
        var options = exchange.Pool.Options;

        // A request that a backend had accepted and begun to answer is not at fault when another refuses it: a third may take it up.
        var isRefusedReplay = exchange.HasStarted && outcome.Kind is OutcomeKind.CallerFault or OutcomeKind.ContentFiltered;
        if ((OutcomeTable.For(outcome.Kind).Next == NextStep.Stop && !isRefusedReplay) || !options.FallbackOnFailure || options.RetryCount == 0
            || exchange.ClientLeft.IsCancellationRequested || exchange.Remaining == TimeSpan.Zero)
        {
            return false;
        }

        var wasRefused = outcome.Kind is OutcomeKind.ConnectFailed or OutcomeKind.RateLimited or OutcomeKind.QuotaExhausted
            or OutcomeKind.Overloaded or OutcomeKind.BadCredentials or OutcomeKind.NotPermitted or OutcomeKind.ModelAbsent;
        if (!exchange.IsRepeatable && !wasRefused)
        {
            return false;
        }

        if (exchange.HasStarted && !CanJoin(exchange))
        {
            return false;
        }

        // What never reached a backend cannot multiply its load.
        if (outcome.Kind == OutcomeKind.ConnectFailed || budget.TryTake(options.RetryBudgetRatio, options.RetryBudgetFloor))
        {
            return true;
        }

        metrics.BudgetRefused();
        LogBudgetUsedUp(exchange.RequestId);
        return false;
    }

    private async ValueTask<Lease?> NextAsync(Exchange exchange, RetryPlan plan, int failed, AttemptOutcome outcome)
    {
        metrics.Retried();
        var lease = await state.AcquireAsync(plan.PeersOf(failed), exchange.ClientLeft);
        if (lease is null && OutcomeTable.For(outcome.Kind).Next == NextStep.AnyBackend && plan.WaitBeforeAgain(failed, outcome) is { } wait)
        {
            await Task.Delay(wait, exchange.Time, exchange.ClientLeft);
            lease = (await queue.AcquireAsync(exchange, plan.Again(failed))).Lease;
        }

        lease ??= (await queue.AcquireAsync(exchange, plan.Any())).Lease;
        return lease ?? await PanicAsync(exchange, plan);
    }

    private async ValueTask<Lease?> PanicAsync(Exchange exchange, RetryPlan plan)
    {
        if (!exchange.Pool.Options.PanicMode || await state.AcquireAsync(plan.Any(panic: true), exchange.ClientLeft) is not { } lease)
        {
            return null;
        }

        metrics.Panicked();
        LogPanic(exchange.RequestId, lease.Backend.Name);
        return lease;
    }

    private static bool CanJoin(Exchange exchange) =>
        exchange.Pool.Options.StreamRecovery != StreamRecovery.Off && exchange.Stream is { Started: true, CanBeJoined: true };

    private static JoinMode JoinFor(Exchange exchange, RetryPlan plan, Backend backend)
    {
        if (!exchange.HasStarted)
        {
            return JoinMode.None;
        }

        var canContinue = exchange.Pool.Options.StreamRecovery == StreamRecovery.Continue && !plan.ContinuationRefused
            && backend.Continuation != ContinuationForm.None && exchange.Shape == ApiShape.Chat && exchange.Stream.Choices == 1
            && !exchange.Facts.HasTools && !exchange.Stream.Log.TextOf(DeltaField.Content).IsEmpty;
        return canContinue ? JoinMode.Continue : JoinMode.Replay;
    }

    private void Report(Exchange exchange, Ending ending)
    {
        var outcome = ending.Name;
        metrics.RequestEnded(exchange, ending.Last, ending.Decisive);
        exchange.Span?.Describe(exchange, outcome, ending.Last);
        if (ending.IsLost)
        {
            LogLost(exchange.RequestId, outcome, Trail.Describe(exchange), (long)exchange.Elapsed.TotalMilliseconds);
        }
        else if (log.IsEnabled(LogLevel.Debug))
        {
            LogEnded(exchange.RequestId, outcome, Trail.Describe(exchange), (long)exchange.Elapsed.TotalMilliseconds);
        }
    }
}
