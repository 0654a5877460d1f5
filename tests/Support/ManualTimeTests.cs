namespace Roadbalancer.Tests.Support;

public sealed class ManualTimeTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ManualTime _time = new();

    [Fact]
    public void Advance_SeveralTimers_FireInOrderAtTheirTime()
    {
        var start = _time.GetUtcNow();
        var fired = new List<(string, TimeSpan)>();
        using var late = _time.CreateTimer(_ => fired.Add(("late", _time.GetUtcNow() - start)), null, 3 * Second, Timeout.InfiniteTimeSpan);
        using var often = _time.CreateTimer(_ => fired.Add(("often", _time.GetUtcNow() - start)), null, Second, 2 * Second);
        _time.Advance(4 * Second);
        Assert.Equal([("often", Second), ("late", 3 * Second), ("often", 3 * Second)], fired);
        Assert.Equal(4 * Second, _time.GetUtcNow() - start);
    }

    [Fact]
    public void Advance_TimerStartedByATimer_FiresWhenDueWithin()
    {
        var fired = 0;
        ITimer? second = null;
        using var first = _time.CreateTimer(_ => second = _time.CreateTimer(_ => fired++, null, Second, Timeout.InfiniteTimeSpan), null, Second, Timeout.InfiniteTimeSpan);
        _time.Advance(2 * Second);
        Assert.Equal(1, fired);
        second!.Dispose();
    }

    [Fact]
    public void GetElapsedTime_OddFrequency_IsTheTimeAdvanced()
    {
        var start = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromMilliseconds(1234));
        Assert.Equal(1234, _time.GetElapsedTime(start).TotalMilliseconds, 0.001);
        Assert.NotEqual(12_340_000, _time.GetTimestamp() - start);
    }

    [Fact]
    public async Task Delay_Advanced_Completes()
    {
        var delay = Task.Delay(Second, _time, TestContext.Current.CancellationToken);
        Assert.False(delay.IsCompleted);
        _time.Advance(Second);
        await delay;
        Assert.Equal(0, _time.Waiting);
    }
}
