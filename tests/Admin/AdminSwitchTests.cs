using System.Net;
using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

public class AdminSwitchTests
{
    [Fact]
    public async Task Drain_WithARequestInFlight_EndsItAndSendsNoMore()
    {
        var gate = new TaskCompletionSource();
        await using var slow = AnswersAfter(gate.Task);
        await using var other = ScriptedUpstream.Start(Scripts.Chat("other"));
        await using var host = await BalancerHost.StartAsync([slow, other]);
        var first = host.ChatAsync();
        await Await.Until(() => slow.Requests.Count + other.Requests.Count == 1, "the first request comes");
        Assert.Single(slow.Requests);

        var drained = await host.DoAsync("POST", "/backends/a/drain");
        using (var next = await host.ChatAsync())
        {
            Assert.Equal("b", next.Headers.GetValues("X-Backend").Single());
        }

        using (var next = await host.ChatAsync())
        {
            Assert.Equal("b", next.Headers.GetValues("X-Backend").Single());
        }

        var removal = host.CallAsync("DELETE", "/backends/a?drain=60");
        await Await.Until(() => host.Log.Has("takes no new requests") || host.Pools.Edits.Drained.Length == 1, "it drains");
        Assert.Equal(2, host.Pools.Current.Backends.Length);
        gate.SetResult();
        var removed = await removal;
        using var answer = await first;

        Assert.Equal(1, drained.Data.GetProperty("backend").GetProperty("metrics").GetProperty("active_connections").GetInt32());
        Assert.Equal("healthy", drained.Data.GetProperty("backend").GetProperty("metrics").GetProperty("status").GetString());
        Assert.Equal("slow", JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement
            .GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(0, removed.Data.GetProperty("in_flight").GetInt32());
        Assert.Equal(["b"], host.Pools.Current.Backends.Select(backend => backend.Name));
    }

    [Fact]
    public async Task Remove_WhoseDrainTimeIsOver_SaysWhatIsLeftAndCutsNothing()
    {
        var gate = new TaskCompletionSource();
        await using var slow = AnswersAfter(gate.Task);
        await using var other = ScriptedUpstream.Start(Scripts.Chat("other"));
        await using var host = await BalancerHost.StartAsync([slow, other]);
        var first = host.ChatAsync();
        await Await.Until(() => slow.Requests.Count == 1, "the first request comes");

        var removed = await host.DoAsync("DELETE", "/backends/a?drain=0.05");
        gate.SetResult();
        using var answer = await first;

        Assert.Equal(1, removed.Data.GetProperty("in_flight").GetInt32());
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task DisableDrainEnable_EachInTurn_AreWhatTheySay()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b") with { Enabled = false }], HealthCheckEnabled = false });

        var disabled = await host.DoAsync("POST", "/backends/a/disable");
        Assert.Equal("disabled", disabled.Data.GetProperty("backend").GetProperty("metrics").GetProperty("status").GetString());
        Assert.Equal("Backend a is disabled. No backend takes requests now.", disabled.Body.GetProperty("message").GetString());
        await host.DoAsync("POST", "/backends/a/drain");
        Assert.True(host.Pools.Current.Backends[0] is { Draining: true, Enabled: false });
        await host.DoAsync("POST", "/backends/a/enable");
        Assert.True(host.Pools.Current.Backends[0] is { Draining: false, Enabled: true });
        Assert.Empty(host.Pools.Edits.Edited);

        var version = host.Pools.Edits.Version;
        await host.DoAsync("POST", "/backends/a/enable");
        Assert.Equal(version, host.Pools.Edits.Version);
        await host.DoAsync("POST", "/backends/b/enable");
        Assert.True(host.Pools.Current.Backends[1].Enabled);
        await host.DoAsync("POST", "/backends/b/disable");
        Assert.Empty(host.Pools.Edits.Edited);
    }

    [Fact]
    public async Task Durable_OnceKept_IsTrue()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });

        await host.Service<PoolSync>().RootAsync(PoolEdits.None, TestContext.Current.CancellationToken);
        var pending = await host.DoAsync("POST", "/backends/a/drain");
        Assert.Equal("pending", (await host.DoAsync("GET", "/status")).Data.GetProperty("durable").GetString());
        host.Service<Accounts>().TakeDurable(pending.Data.GetProperty("version").GetInt64());

        Assert.True((await host.DoAsync("GET", "/status")).Data.GetProperty("durable").GetBoolean());
    }

    [Fact]
    public async Task HealthCheck_OfEachKind_TellsWhatCameOfIt()
    {
        await using var well = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var ill = ScriptedUpstream.Start(Scripts.Chat("hi"));
        ill.ProbeScript = Scripts.Status(503);
        await using var host = await BalancerHost.StartAsync([well, ill], options => options with { FailureThreshold = 1 });
        await using var gone = ScriptedUpstream.Start(Scripts.Hang);
        await gone.KillAsync();
        await host.DoAsync("POST", "/backends", $$"""{"name":"gone","url":"{{gone.BaseUrl}}"}""", HttpStatusCode.Created);

        var a = (await host.DoAsync("POST", "/backends/a/health_check")).Data;
        var b = (await host.DoAsync("POST", "/backends/b/health_check")).Data;
        var c = (await host.DoAsync("POST", "/backends/gone/health_check")).Data;

        Assert.True(a.GetProperty("healthy").GetBoolean());
        Assert.Equal(("succeeded", 200, "healthy"), (a.GetProperty("outcome").GetString(), a.GetProperty("status_code").GetInt32(), a.GetProperty("backend_status").GetString()));
        Assert.Equal((false, 503, "unhealthy"), (b.GetProperty("healthy").GetBoolean(), b.GetProperty("status_code").GetInt32(), b.GetProperty("backend_status").GetString()));
        Assert.Equal(("connect_failed", JsonValueKind.Null), (c.GetProperty("outcome").GetString(), c.GetProperty("status_code").ValueKind));
    }

    [Fact]
    public async Task Reset_OfABackendThatIsOutParkedAndMisconfigured_BringsItBack()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false, FailureThreshold = 1 });
        foreach (var kind in new[] { OutcomeKind.QuotaExhausted, OutcomeKind.BadCredentials, OutcomeKind.ServerError })
        {
            var lease = await host.State.AcquireAsync(new() { Pool = host.Pools.Current, Only = 0, Panic = true }, TestContext.Current.CancellationToken)
                ?? Lease.ForProbe(host.Pools.Current, 0);
            await host.State.ReleaseAsync(lease, new(kind));
        }

        Assert.NotEqual("healthy", (await host.DoAsync("GET", "/backends/a")).Data.GetProperty("metrics").GetProperty("status").GetString());
        var reset = await host.DoAsync("POST", "/backends/a/reset");

        var metrics = reset.Data.GetProperty("backend").GetProperty("metrics");
        Assert.Equal(("healthy", "closed", 0), (metrics.GetProperty("status").GetString(), metrics.GetProperty("circuit").GetString(), metrics.GetProperty("consecutive_failures").GetInt32()));
        Assert.Equal(0, metrics.GetProperty("parked_remaining").GetDouble());
        Assert.True(host.Log.Has("loopback from 127.0.0.1: backend_reset a"));
        Assert.NotNull(await host.State.AcquireAsync(new() { Pool = host.Pools.Current, Only = 0 }, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Strategy_Put_IsInForceUntilTakenBack()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });

        var put = await host.DoAsync("PUT", "/strategy", """{"strategy":"least_conn","health_check_interval":7.5,"max_retries":0,"failure_threshold":9}""");
        var options = host.Pools.Current.Options;
        Assert.Equal(("least_connections", 7.5, 0, 9), (host.Pools.Current.Strategy.Name, options.HealthCheckInterval.TotalSeconds, options.RetryCount, options.FailureThreshold));
        Assert.Equal("least_connections", put.Data.GetProperty("strategy").GetProperty("strategy").GetString());
        Assert.Equal(4, put.Data.GetProperty("strategy").GetProperty("changed_fields").GetArrayLength());
        Assert.True(host.Log.Has($"strategy_changed all, version {host.Pools.Edits.Version}: {{\"strategy\":\"round_robin\",\"health_check_interval\":30,\"max_retries\":2,\"failure_threshold\":3}} -> "));

        await host.DoAsync("PUT", "/strategy", """{"strategy":null,"max_retries":null,"failure_threshold":8}""");
        var told = (await host.DoAsync("GET", "/strategy")).Data;
        Assert.Equal(("round_robin", 7.5, 2, 8), (told.GetProperty("strategy").GetString(), told.GetProperty("health_check_interval").GetDouble(), told.GetProperty("max_retries").GetInt32(), told.GetProperty("failure_threshold").GetInt32()));
        Assert.Equal(6, told.GetProperty("available_strategies").GetArrayLength());
    }

    [Theory]
    [InlineData("""{"strategy":"fastest"}""", "strategy")]
    [InlineData("""{"strategy":7}""", "strategy")]
    [InlineData("""{"health_check_interval":0}""", "health_check_interval")]
    [InlineData("""{"max_retries":101}""", "max_retries")]
    [InlineData("""{"failure_threshold":0}""", "failure_threshold")]
    [InlineData("""{"cooldown":5}""", "cooldown")]
    public async Task Strategy_InvalidField_IsNamed(string body, string field)
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a")], HealthCheckEnabled = false });

        var reply = await host.CallAsync("PUT", "/strategy", body);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_field", field), (reply.Status, reply.Code, reply.Field));
        Assert.Equal(0, host.Pools.Edits.Version);
    }

    [Fact]
    public async Task HealthChecks_StartedAndStopped_ProbeOrDoNot()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        Assert.Empty(upstream.Probes);

        var started = await host.DoAsync("POST", "/health_check/start");
        await Await.Until(() => upstream.Probes.Count > 0, "a probe comes");
        var stopped = await host.DoAsync("POST", "/health_check/stop");

        Assert.True(started.Data.GetProperty("health_check_running").GetBoolean());
        Assert.False(stopped.Data.GetProperty("health_check_running").GetBoolean());
        Assert.False((await host.DoAsync("GET", "/status")).Data.GetProperty("health_check_running").GetBoolean());
    }

    private static ScriptedUpstream AnswersAfter(Task gate) => ScriptedUpstream.Start(async (_, connection, _) =>
    {
        await gate;
        await connection.RespondAsync(200, ScriptedChat.Body("slow"));
    });
}
