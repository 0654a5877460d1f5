using Roadbalancer.Ledger;

namespace Roadbalancer.Tests.Ledger;

public class HistoryTests
{
    [Fact]
    public async Task ReadAsync_PresentHour_HasWhatIsNotSettledYet()
    {
        var time = new LeapTime();
        var ledger = new MemoryLedger();
        await using var instance = new SettlingInstance(time, 1);
        await instance.ServeAsync(0, 3);
        await instance.SettleAsync(ledger);
        time.Advance(TimeSpan.FromHours(2));
        await instance.ServeAsync(0, 4);
        var report = await instance.History.ReadAsync("A", time.GetUtcNow().AddHours(-2), time.GetUtcNow(), TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        var points = Assert.Single(report.Backends).Points;
        Assert.Equal((TimeSpan.FromHours(1), "a"), (report.Step, report.Backends[0].Name));
        Assert.Equal([3, 0], points.Take(2).Select(point => point.Counted.Requests));
        Assert.Equal((120.0, 20.0), (points[0].MeanDurationMs, points[0].MeanFirstTokenMs));
        Assert.Null(points[1].MeanDurationMs);
        Assert.Equal(4 * SettlingInstance.InputTokens, (await instance.History.ReadAsync(null, time.GetUtcNow(), time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), TestContext.Current.CancellationToken))
            .Backends.Single(backend => backend.Name == "a").Points[0].Counted.InputTokens);
    }

    [Fact]
    public async Task ReadAsync_OlderThan35Days_IsByTheDay()
    {
        var time = new LeapTime();
        var ledger = new MemoryLedger();
        await using var instance = new SettlingInstance(time, 1);
        await instance.ServeAsync(1, 2);
        await instance.SettleAsync(ledger);
        time.Advance(TimeSpan.FromDays(50));
        await instance.ServeAsync(1, 5);
        await instance.SettleAsync(ledger);
        var report = await instance.History.ReadAsync("b", time.GetUtcNow().AddDays(-60), time.GetUtcNow(), TimeSpan.FromHours(6), TestContext.Current.CancellationToken);
        Assert.Equal(TimeSpan.FromDays(1), report.Step);
        Assert.Equal([2, 5], report.Backends[0].Points.Where(point => point.Counted.Requests > 0).Select(point => point.Counted.Requests));
    }

    [Fact]
    public async Task ReadAsync_NonsenseSpan_IsRefused()
    {
        await using var instance = new SettlingInstance(new LeapTime(), 1);
        var now = DateTimeOffset.UnixEpoch.AddYears(50);
        await Assert.ThrowsAsync<ArgumentException>(() => instance.History.ReadAsync(null, now, now.AddHours(-2), TimeSpan.FromHours(1), TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<ArgumentException>(() => instance.History.ReadAsync(null, now, now.AddHours(2), TimeSpan.Zero, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(long.MaxValue)]
    public async Task ReadAsync_AllOfTime_IsWhatIsKept(long stepTicks)
    {
        await using var instance = new SettlingInstance(new LeapTime(), 1);
        await instance.ServeAsync(0, 2);
        var report = await instance.History.ReadAsync("a", DateTimeOffset.MinValue, DateTimeOffset.MaxValue, TimeSpan.FromTicks(stepTicks), TestContext.Current.CancellationToken);
        Assert.InRange(report.Backends[0].Points.Length, 1, 403);
        Assert.Equal(2, report.Backends[0].Points.Sum(point => point.Counted.Requests));
    }
}
