namespace Roadbalancer.Tests.Faults;

/// <summary>
/// A clock that runs four times as fast as the wall's, so that what waits half a second costs an eighth. It runs by itself, as real sockets need it.
/// Lower bounds hold on it: a timer never fires early.
/// </summary>
internal sealed class HurriedTime : TimeProvider
{
    private const int Speed = 4;

    private readonly long _startedAt = System.GetTimestamp();
    private readonly DateTimeOffset _startedAtUtc = System.GetUtcNow();

    public override long TimestampFrequency => System.TimestampFrequency;

    public override long GetTimestamp() => _startedAt + ((System.GetTimestamp() - _startedAt) * Speed);

    public override DateTimeOffset GetUtcNow() => _startedAtUtc + GetElapsedTime(_startedAt);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new HurriedTimer(System.CreateTimer(callback, state, Real(dueTime), Real(period)));

    /// <summary>A millisecond more than the share: the system's timers count whole ones, and may be one of them early.</summary>
    private static TimeSpan Real(TimeSpan time) =>
        time <= TimeSpan.Zero ? time : TimeSpan.FromMilliseconds(Math.Ceiling(time.TotalMilliseconds / Speed) + 1);

    private sealed class HurriedTimer(ITimer timer) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(Real(dueTime), Real(period));

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
