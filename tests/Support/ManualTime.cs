namespace Roadbalancer.Tests.Support;

/// <summary>
/// A clock that moves only by <see cref="Advance"/>, which fires the timers that fall due, in order, on the caller's thread. Its timestamp
/// frequency is odd on purpose: code that takes a timestamp for ticks, or for milliseconds, is wrong with it at once.
/// </summary>
internal sealed class ManualTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private DateTimeOffset _now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private TimeSpan _elapsed;

    /// <summary>A prime, so that it divides nothing.</summary>
    public override long TimestampFrequency => 9_999_991;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now;
        }
    }

    public override long GetTimestamp()
    {
        lock (_lock)
        {
            return (long)(_elapsed.Ticks * (TimestampFrequency / (decimal)TimeSpan.TicksPerSecond));
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>How many timers are waiting; a test can tell by it that the code under test has got to its wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    /// <summary>Moves the clock by <paramref name="time"/>, stopping at each timer that falls due; a timer started by another fires too when it is due within.</summary>
    public void Advance(TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero);
        TimeSpan end;
        lock (_lock)
        {
            end = _elapsed + time;
        }

        while (Next(end) is { } timer)
        {
            timer.Fire();
        }

        lock (_lock)
        {
            MoveNeedsLock(end);
        }
    }

    /// <summary>Moves to the earliest timer due by <paramref name="end"/> and takes it off the list, or puts it back by its period.</summary>
    private ManualTimer? Next(TimeSpan end)
    {
        lock (_lock)
        {
            var next = _timers.Where(timer => timer.Due <= end).MinBy(timer => timer.Due);
            if (next is null)
            {
                return null;
            }

            MoveNeedsLock(next.Due);
            if (next.Period > TimeSpan.Zero)
            {
                next.Due += next.Period;
            }
            else
            {
                _timers.Remove(next);
            }

            return next;
        }
    }

    private void MoveNeedsLock(TimeSpan elapsed)
    {
        if (elapsed > _elapsed)
        {
            _now += elapsed - _elapsed;
            _elapsed = elapsed;
        }
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private bool _disposed;

        public TimeSpan Due { get; set; }

        public TimeSpan Period { get; private set; }

        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
            {
                time._timers.Remove(this);
                if (_disposed)
                {
                    return false;
                }

                Period = period;
                Due = time._elapsed + dueTime;
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    time._timers.Add(this);
                }

                return true;
            }
        }

        public void Dispose()
        {
            lock (time._lock)
            {
                _disposed = true;
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
