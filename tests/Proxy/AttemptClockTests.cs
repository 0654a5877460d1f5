using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class AttemptClockTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void Token_NothingArmed_EndsAtTheDeadline()
    {
        using var exchange = Exchange(total: 10);
        using var clock = new AttemptClock(exchange);
        _time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(clock.Token.IsCancellationRequested);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal((true, OutcomeKind.DeadlineReached), (clock.Token.IsCancellationRequested, clock.Reason));
    }

    [Fact]
    public void Begin_ClockThatServedBefore_KeepsToTheNewLimitOnly()
    {
        using var clocks = new AttemptClocks(_time);
        using var first = Exchange(total: 100);
        using var second = Exchange(total: 100);
        var served = clocks.Begin(first);
        served.Arm(TimeSpan.FromSeconds(5), OutcomeKind.FirstTokenTimedOut);
        served.Dispose();

        using var clock = clocks.Begin(second);
        clock.Arm(TimeSpan.FromSeconds(20), OutcomeKind.TimedOut);

        Assert.Same(served, clock);
        _time.Advance(TimeSpan.FromSeconds(19));
        Assert.False(clock.Token.IsCancellationRequested);
        _time.Advance(TimeSpan.FromSeconds(1.1));
        Assert.Equal((true, OutcomeKind.TimedOut), (clock.Token.IsCancellationRequested, clock.Reason));
    }

    [Fact]
    public void Begin_ClockThatFiredBefore_IsAnother()
    {
        using var clocks = new AttemptClocks(_time);
        using var exchange = Exchange(total: 100);
        var fired = clocks.Begin(exchange);
        fired.Arm(TimeSpan.FromSeconds(5), OutcomeKind.TimedOut);
        _time.Advance(TimeSpan.FromSeconds(6));
        fired.Dispose();

        using var clock = clocks.Begin(exchange);

        Assert.NotSame(fired, clock);
        Assert.False(clock.Token.IsCancellationRequested);
    }

    [Fact]
    public void Return_MoreThanAreKept_NoneServesTwiceAtOnce()
    {
        using var clocks = new AttemptClocks(_time);
        using var exchange = Exchange(total: 100);
        foreach (var clock in Enumerable.Range(0, 1100).Select(_ => clocks.Begin(exchange)).ToArray())
        {
            clock.Dispose();
        }

        var again = Enumerable.Range(0, 1100).Select(_ => clocks.Begin(exchange)).ToArray();
        Assert.Equal(again.Length, again.Distinct().Count());
        Array.ForEach(again, clock => clock.Dispose());
    }

    [Fact]
    public void Arm_SoonerThanTheDeadline_GivesItsReason()
    {
        using var exchange = Exchange(total: 10);
        using var clock = new AttemptClock(exchange);
        clock.Arm(TimeSpan.FromSeconds(2), OutcomeKind.FirstTokenTimedOut);
        _time.Advance(TimeSpan.FromSeconds(2.1));
        Assert.Equal((true, OutcomeKind.FirstTokenTimedOut), (clock.Token.IsCancellationRequested, clock.Reason));
    }

    [Fact]
    public void Arm_LaterThanTheDeadline_GivesTheDeadline()
    {
        using var exchange = Exchange(total: 10);
        using var clock = new AttemptClock(exchange);
        _time.Advance(TimeSpan.FromSeconds(7));
        clock.Arm(TimeSpan.FromSeconds(5), OutcomeKind.StreamStalled);
        _time.Advance(TimeSpan.FromSeconds(3.1));
        Assert.Equal((true, OutcomeKind.DeadlineReached), (clock.Token.IsCancellationRequested, clock.Reason));
    }

    [Fact]
    public void Arm_Again_ReplacesTheLimit()
    {
        using var exchange = Exchange(total: 100);
        using var clock = new AttemptClock(exchange);
        for (var chunk = 0; chunk < 5; chunk++)
        {
            clock.Arm(TimeSpan.FromSeconds(3), OutcomeKind.StreamStalled);
            _time.Advance(TimeSpan.FromSeconds(2));
        }

        Assert.False(clock.Token.IsCancellationRequested);
        _time.Advance(TimeSpan.FromSeconds(1.1));
        Assert.Equal(OutcomeKind.StreamStalled, clock.Reason);
    }

    [Fact]
    public void Token_AfterTheDeadline_IsCancelledFromTheStart()
    {
        using var exchange = Exchange(total: 1);
        _time.Advance(TimeSpan.FromSeconds(2));
        using var clock = new AttemptClock(exchange);
        Assert.Equal((true, OutcomeKind.DeadlineReached), (clock.Token.IsCancellationRequested, clock.Reason));
    }

    [Fact]
    public void Reason_ClientLeft_ComesBeforeAllOthers()
    {
        using var client = new CancellationTokenSource();
        using var exchange = Exchange(10, new DefaultHttpContext { RequestAborted = client.Token });
        using var clock = new AttemptClock(exchange);
        clock.Supersede();
        Assert.Equal((true, OutcomeKind.Superseded), (clock.Token.IsCancellationRequested, clock.Reason));
        client.Cancel();
        Assert.Equal(OutcomeKind.ClientLeft, clock.Reason);
    }

    [Fact]
    public void Dispose_LeavesNoTimer()
    {
        using var exchange = Exchange(10);
        new AttemptClock(exchange).Dispose();
        Assert.Equal(0, _time.Waiting);
    }

    private Exchange Exchange(int total, HttpContext? http = null) =>
        Exchanges.Of(Pools.Of(new BalancerOptions { TotalTimeout = TimeSpan.FromSeconds(total) }, Pools.Backend("a")), _time, http);
}
