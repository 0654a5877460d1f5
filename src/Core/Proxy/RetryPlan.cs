using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Proxy;

/// <summary>
/// Where one request may still go. The rules (docs/failure-handling.md): a peer of the same priority at once; else the same backend once more
/// after a wait; else a worse group; a backend that was silent, or whose fault is its own configuration, not again.
/// </summary>
internal sealed class RetryPlan(Exchange exchange, Chance chance)
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(5);

    private Dictionary<int, int>? _attempts;
    private BackendSet _tried = exchange.Barred;
    private BackendSet _barred;
    private int _backoffs;

    private BalancerOptions Options => exchange.Pool.Options;

    /// <summary>A backend refused to continue a half-finished answer: from now on answers are replayed.</summary>
    public bool ContinuationRefused { get; private set; }

    public void Note(int index, AttemptOutcome outcome)
    {
        _attempts ??= [];
        _attempts[index] = _attempts.GetValueOrDefault(index) + 1;
        _tried.Add(index);
        var (next, _) = OutcomeTable.For(outcome.Kind);
        if (next == NextStep.OtherBackend)
        {
            _barred.Add(index);
        }
        else if (next == NextStep.WorsePriority)
        {
            BarGroupsUpTo(exchange.Pool.Backends[index].Priority);
        }

        ContinuationRefused |= outcome.Kind == OutcomeKind.PrefixRefused;
    }

    /// <summary>The first acquire, or one of any backend that has not been tried.</summary>
    public AcquireRequest Any(bool panic = false) => Request(_tried, -1, panic);

    /// <summary>Untried backends of <paramref name="index"/>'s priority or a better one.</summary>
    public AcquireRequest PeersOf(int index)
    {
        var excluded = _tried;
        for (var other = 0; other < exchange.Pool.Backends.Length; other++)
        {
            if (exchange.Pool.Backends[other].Priority > exchange.Pool.Backends[index].Priority)
            {
                excluded.Add(other);
            }
        }

        return Request(excluded, -1, panic: false);
    }

    /// <summary>Any backend that has not been tried and is not <paramref name="index"/>.</summary>
    public AcquireRequest AnyBut(int index)
    {
        var excluded = _tried;
        excluded.Add(index);
        return Request(excluded, -1, panic: false);
    }

    /// <summary>That one backend again.</summary>
    public AcquireRequest Again(int index) => Request(default, index, panic: false);

    /// <summary>Whether any backend but <paramref name="index"/> could still be asked, whatever its condition.</summary>
    public bool HasOther(int index)
    {
        var request = Any();
        for (var other = 0; other < exchange.Pool.Backends.Length; other++)
        {
            if (other != index && Eligibility.Standing(request, other) == Obstacle.None)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// How long to wait before <paramref name="index"/> is asked once more; null when it is not to be: it was silent or misconfigured, asked for a
    /// longer pause than <c>max_retry_wait</c>, has had its attempts, or is not there or has had its second chance while a worse group is waiting to help.
    /// </summary>
    public TimeSpan? WaitBeforeAgain(int index, AttemptOutcome outcome)
    {
        var attempts = _attempts?.GetValueOrDefault(index) ?? 0;
        var isSpent = attempts > 1 || outcome.Kind == OutcomeKind.ConnectFailed;
        if (_barred.Contains(index) || attempts > Options.RetryCount || (isSpent && HasOther(index)))
        {
            return null;
        }

        var wait = outcome.Kind == OutcomeKind.PrefixRefused ? TimeSpan.Zero : outcome.RetryAfter ?? Backoff(outcome.Kind);
        return wait <= Options.MaxRetryWait && wait < exchange.Remaining ? wait : null;
    }

    private void BarGroupsUpTo(int priority)
    {
        for (var index = 0; index < exchange.Pool.Backends.Length; index++)
        {
            if (exchange.Pool.Backends[index].Priority <= priority)
            {
                _tried.Add(index);
                _barred.Add(index);
            }
        }
    }

    private TimeSpan Backoff(OutcomeKind kind)
    {
        if (kind == OutcomeKind.RateLimited)
        {
            // A backend that says «too many» without saying until when is parked for a second: as long is waited.
            return TimeSpan.FromSeconds(1);
        }

        var wait = FirstBackoff * Math.Pow(2, _backoffs++);
        return (wait < LongestBackoff ? wait : LongestBackoff) * (0.8 + (0.4 * chance.NextDouble()));
    }

    private AcquireRequest Request(BackendSet excluded, int only, bool panic) => new()
    {
        Pool = exchange.Pool,
        Model = exchange.Facts.Model,
        Tags = exchange.Tags,
        Excluded = excluded,
        Only = only,
        Panic = panic,
        AffinityKey = exchange.AffinityKey,
        Roll1 = chance.NextDouble(),
        Roll2 = chance.NextDouble(),
        SlowStartRoll = chance.NextDouble(),
    };
}
