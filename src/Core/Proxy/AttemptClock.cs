using System.Collections.Concurrent;

namespace Roadbalancer.Proxy;

/// <summary>
/// The one cancellation of an attempt. It is cancelled by the client's leaving, by a rival that answered first, by the request's deadline, or by
/// whichever limit is armed at the moment; <see cref="Reason"/> tells which.
/// </summary>
/// <remarks>
/// A limit that is moved later leaves the timer where it is: when it fires too early it is set anew. So a stream that arms it with every chunk, and
/// a clock that serves one request after another (<see cref="AttemptClocks"/>), touch the timers once in a limit's length.
/// </remarks>
internal sealed class AttemptClock : IDisposable
{
    /// <summary>Nearer than this a limit has been reached: timers are no finer.</summary>
    private static readonly TimeSpan Nearly = TimeSpan.FromMilliseconds(1);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _source = new();
    private readonly TimeProvider _time;
    private readonly AttemptClocks? _home;
    private readonly ITimer _timer;
    private readonly long _origin;
    private Exchange? _exchange;
    private CancellationTokenRegistration _clientLeft;
    private TimeSpan? _dueAt;
    private TimeSpan? _timerAt;
    private OutcomeKind _armed;
    private bool _isSpent;
    private volatile bool _superseded;

    /// <summary>One for this exchange alone.</summary>
    public AttemptClock(Exchange exchange)
        : this(exchange.Time, null) => Begin(exchange);

    /// <summary>One that has nothing to time yet.</summary>
    /// <param name="home">Where it goes when it has served, to serve again.</param>
    public AttemptClock(TimeProvider time, AttemptClocks? home)
    {
        _time = time;
        _home = home;
        _origin = time.GetTimestamp();
        using (ExecutionContext.IsFlowSuppressed() ? default : ExecutionContext.SuppressFlow())
        {
            _timer = time.CreateTimer(static clock => ((AttemptClock)clock!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    public CancellationToken Token => _source.Token;

    /// <summary>Why <see cref="Token"/> is cancelled.</summary>
    public OutcomeKind Reason =>
        _exchange is not { } exchange || exchange.ClientLeft.IsCancellationRequested ? OutcomeKind.ClientLeft
        : _superseded ? OutcomeKind.Superseded
        : _armed;

    /// <summary>Begins with an attempt for <paramref name="exchange"/>, armed with its deadline.</summary>
    public void Begin(Exchange exchange)
    {
        _exchange = exchange;
        Arm(TimeSpan.MaxValue, OutcomeKind.DeadlineReached);
        _clientLeft = exchange.ClientLeft.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
    }

    /// <summary>From now on the attempt ends as <paramref name="kind"/> after <paramref name="limit"/>, or at the deadline if that is sooner.</summary>
    public void Arm(TimeSpan limit, OutcomeKind kind)
    {
        var now = _time.GetTimestamp();
        var remaining = _exchange!.RemainingAt(now);
        _armed = limit < remaining ? kind : OutcomeKind.DeadlineReached;
        var wait = limit < remaining ? limit : remaining;
        if (wait <= TimeSpan.Zero)
        {
            lock (_lock)
            {
                _isSpent = true;
            }

            _source.Cancel();
            return;
        }

        lock (_lock)
        {
            var dueAt = _time.GetElapsedTime(_origin, now) + wait;
            _dueAt = dueAt;
            if (_timerAt is null || dueAt < _timerAt)
            {
                _timerAt = dueAt;
                _timer.Change(wait, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Another attempt was faster.</summary>
    public void Supersede()
    {
        _superseded = true;
        _source.Cancel();
    }

    /// <summary>The attempt is over, and nothing uses <see cref="Token"/> any longer.</summary>
    public void Dispose()
    {
        // A callback under way would cancel whoever had the clock next: such a one is not used again.
        var isQuiet = _clientLeft.Unregister() || !_exchange!.ClientLeft.CanBeCanceled;
        if (isQuiet && _home is not null && CanServeAgain())
        {
            _exchange = null;
            _clientLeft = default;
            _home.Return(this);
        }
        else
        {
            Discard();
        }
    }

    /// <summary>Ends it for good.</summary>
    public void Discard()
    {
        lock (_lock)
        {
            _isSpent = true;
        }

        // The source itself holds nothing to be given back, and may be in the midst of cancelling.
        _timer.Dispose();
    }

    private bool CanServeAgain()
    {
        lock (_lock)
        {
            _dueAt = null;
            return !_isSpent && !_superseded && _source.TryReset();
        }
    }

    private void Fire()
    {
        lock (_lock)
        {
            _timerAt = null;
            if (_isSpent || _dueAt is not { } dueAt)
            {
                return;
            }

            var left = dueAt - _time.GetElapsedTime(_origin);
            if (left >= Nearly)
            {
                _timerAt = dueAt;
                _timer.Change(left, Timeout.InfiniteTimeSpan);
                return;
            }

            _isSpent = true;
        }

        _source.Cancel();
    }
}

/// <summary>Clocks that have served and serve again, so that a request sets no timer of its own.</summary>
internal sealed class AttemptClocks(TimeProvider time) : IDisposable
{
    /// <summary>As many as are kept for the next requests.</summary>
    private const int Most = 1024;

    private readonly ConcurrentQueue<AttemptClock> _free = new();
    private int _count;

    /// <summary>A clock for an attempt of <paramref name="exchange"/>; disposing it gives it back.</summary>
    public AttemptClock Begin(Exchange exchange)
    {
        // Where rivals race, one may be superseded by a late word: its clock is its own. So is that of an exchange with a time of its own.
        if (Hedging.AppliesTo(exchange) || !ReferenceEquals(exchange.Time, time))
        {
            return new AttemptClock(exchange);
        }

        if (_free.TryDequeue(out var clock))
        {
            Interlocked.Decrement(ref _count);
        }
        else
        {
            clock = new AttemptClock(time, this);
        }

        clock.Begin(exchange);
        return clock;
    }

    public void Return(AttemptClock clock)
    {
        if (Interlocked.Increment(ref _count) <= Most)
        {
            _free.Enqueue(clock);
        }
        else
        {
            Interlocked.Decrement(ref _count);
            clock.Discard();
        }
    }

    public void Dispose()
    {
        while (_free.TryDequeue(out var clock))
        {
            clock.Discard();
        }
    }
}
