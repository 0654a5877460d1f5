using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class TrailTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void Describe_OneAttemptUnderWay_IsAnswering()
    {
        using var exchange = Exchanges.Of(Pools.Of(Pools.Backend("a")), _time);
        exchange.Attempts.Add(new AttemptRecord("a"));
        _time.Advance(TimeSpan.FromMilliseconds(12.5));
        Assert.Equal("a;answering;12", Trail.Describe(exchange));
    }

    [Fact]
    public void Describe_SeveralAttempts_TellsEachInTurn()
    {
        using var exchange = Exchanges.Of(Pools.Of(Pools.Backend("a")), _time);
        exchange.Attempts.Add(new AttemptRecord("a") { Outcome = new(OutcomeKind.ConnectFailed) { DurationMs = 3.4 } });
        exchange.Attempts.Add(new AttemptRecord("b:8000") { Outcome = new(OutcomeKind.FirstTokenTimedOut) { DurationMs = 10_000.6 } });
        exchange.Attempts.Add(new AttemptRecord("c"));
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal("a;connect_failed;3, b:8000;first_token_timed_out;10001, c;answering;11000", Trail.Describe(exchange));
    }

    [Fact]
    public void Write_Headers_TellTheWay()
    {
        using var exchange = Exchanges.Of(Pools.Of(Pools.Backend("a")), _time);
        var headers = new HeaderDictionary();
        Trail.Write(exchange, headers, backend: null);
        Assert.Equal(("req_test", "0"), (headers["X-Request-Id"].ToString(), headers["X-Attempts"].ToString()));
        Assert.False(headers.ContainsKey("X-Backend") || headers.ContainsKey("X-Backend-Attempts"));

        exchange.Attempts.Add(new AttemptRecord("a"));
        Trail.Write(exchange, headers, "a");
        Assert.Equal(("a", "1", "a;answering;0"), (headers["X-Backend"].ToString(), headers["X-Attempts"].ToString(), headers["X-Backend-Attempts"].ToString()));
    }

    [Fact]
    public void NameOf_EveryKind_IsSnakeCase() =>
        Assert.All(Enum.GetValues<OutcomeKind>(), kind => Assert.Matches("^[a-z]+(_[a-z]+)*$", Trail.NameOf(kind)));
}
