using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;
using Roadbalancer.Tests.Wire;

namespace Roadbalancer.Tests.Health;

public sealed class HealthProbeTests
{
    [Theory]
    [InlineData(200, nameof(OutcomeKind.Succeeded), 0, false)]
    [InlineData(204, nameof(OutcomeKind.Succeeded), 0, false)]
    [InlineData(401, nameof(OutcomeKind.BadCredentials), 0, true)]
    [InlineData(403, nameof(OutcomeKind.BadCredentials), 0, true)]
    [InlineData(404, nameof(OutcomeKind.ServerError), 1, false)]
    [InlineData(429, nameof(OutcomeKind.RateLimited), 0, false)]
    [InlineData(500, nameof(OutcomeKind.ServerError), 1, false)]
    [InlineData(503, nameof(OutcomeKind.Overloaded), 1, false)]
    [InlineData(301, nameof(OutcomeKind.ServerError), 1, false)]
    public async Task ProbeAsync_Status_IsSettled(int status, string kind, int failures, bool misconfigured)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(status, "{}"));
        upstream.ProbeScript = null;
        var (outcome, snapshot) = await ProbeAsync(upstream.BaseUrl);
        Assert.Equal((kind, status), (outcome.Kind.ToString(), outcome.Status));
        Assert.Equal((failures, misconfigured, 0d, 0), (snapshot.Vitals.ConsecutiveFailures, snapshot.Vitals.Misconfigured, snapshot.Vitals.LatencyMs, snapshot.Vitals.InFlight));
        Assert.Equal(0, snapshot.Totals.Duration.Count);
        Assert.Equal("/v1/models", Assert.Single(upstream.Requests).Target);
    }

    [Fact]
    public async Task ProbeAsync_OwnPathKeyAndQuery_AreSent()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, "{}"));
        var (outcome, _) = await ProbeAsync(upstream.BaseUrl, backend => backend with { HealthPath = "/healthz?full=1", ApiKey = "k", Query = "api-version=2" });
        Assert.Equal(OutcomeKind.Succeeded, outcome.Kind);
        Assert.Equal("/healthz?full=1&api-version=2", Assert.Single(upstream.Requests).Target);
        Assert.Equal("Bearer k", upstream.Requests[0].Header("Authorization"));
    }

    [Fact]
    public async Task ProbeAsync_Refused_IsAConnectFailure()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await upstream.KillAsync();
        Assert.Equal(OutcomeKind.ConnectFailed, (await ProbeAsync(upstream.BaseUrl)).Outcome.Kind);
    }

    [Fact]
    public async Task ProbeAsync_Reset_IsAFailure()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.ResetBeforeHeaders);
        upstream.ProbeScript = null;
        var (_, snapshot) = await ProbeAsync(upstream.BaseUrl);
        Assert.Equal(1, snapshot.Vitals.ConsecutiveFailures);
    }

    [Theory]
    [InlineData(60, 10)]
    [InlineData(3, 3)]
    public async Task ProbeAsync_Silence_EndsAtTheSmallerOfTimeoutAndTenSeconds(int timeout, int expected)
    {
        var time = new ManualTime();
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        upstream.ProbeScript = null;
        var probing = ProbeAsync(upstream.BaseUrl, backend => backend with { Timeout = TimeSpan.FromSeconds(timeout) }, time);
        await Await.Until(() => upstream.Requests.Count == 1, "the probe arrives");
        time.Advance(TimeSpan.FromSeconds(expected - 0.1));
        Assert.False(probing.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        var (outcome, snapshot) = await Await.For(probing, "the probe's end");
        Assert.Equal((OutcomeKind.TimedOut, 1, 0d), (outcome.Kind, snapshot.Vitals.ConsecutiveFailures, snapshot.Vitals.LatencyMs));
    }

    [Fact]
    public async Task ProbeAsync_KeptConnectionClosesAsItIsUsed_AsksAgainOnANewOne()
    {
        const string Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        var isFirst = true;
        await using var server = BareServer.Start(async peer =>
        {
            var closesLater = isFirst;
            isFirst = false;
            await peer.ReadRequestAsync();
            await peer.WriteAsync(Answer);
            await peer.ReadRequestAsync();
            if (!closesLater)
            {
                await peer.WriteAsync(Answer);
            }
        });
        var pool = Pools.Of(new BalancerOptions(), new Backend { Name = "a", BaseUrl = server.Url });
        using var forwarder = new Forwarder(TimeProvider.System);
        var probe = new HealthProbe(new InMemoryState(TimeProvider.System, new Chance(1)), forwarder, TimeProvider.System);

        Assert.Equal(OutcomeKind.Succeeded, (await probe.ProbeAsync(pool, 0, TestContext.Current.CancellationToken)).Kind);
        Assert.Equal(OutcomeKind.Succeeded, (await probe.ProbeAsync(pool, 0, TestContext.Current.CancellationToken)).Kind);

        Assert.Equal(2, server.Accepted);
    }

    private static async Task<(AttemptOutcome Outcome, BackendSnapshot Snapshot)> ProbeAsync(Uri url, Func<Backend, Backend>? change = null, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var backend = new Backend { Name = "a", BaseUrl = url };
        var pool = Pools.Of(new BalancerOptions(), change?.Invoke(backend) ?? backend);
        var state = new InMemoryState(time, new Chance(1));
        using var forwarder = new Forwarder(TimeProvider.System);
        var outcome = await new HealthProbe(state, forwarder, time).ProbeAsync(pool, 0, TestContext.Current.CancellationToken);
        return (outcome, (await state.ReadAsync(pool.Name, CancellationToken.None)).For("a"));
    }
}
