using System.Net;
using Roadbalancer.Admin;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

/// <summary>Three instances over one Redis: a change at one is in force at all.</summary>
public sealed class AdminSharedTests(SharedRedis redis)
{
    [Fact]
    public async Task Changes_AtOneInstance_AreInForceAndToldAtAll()
    {
        await using var a = ScriptedUpstream.Start(Scripts.Chat("a"));
        await using var c = ScriptedUpstream.Start(Scripts.Chat("c"));
        var prefix = redis.NextPrefix();
        await using var one = await StartAsync(prefix, a);
        await using var two = await StartAsync(prefix, a);
        await using var three = await StartAsync(prefix, a);
        BalancerHost[] all = [one, two, three];
        await using var events = await Events.OpenAsync(three, "?types=change,transition");

        var added = await one.DoAsync("POST", "/backends", $$"""{"name":"c","url":"{{c.BaseUrl}}","api_key":"k-c"}""", HttpStatusCode.Created);
        await Await.Until(() => all.All(host => host.Pools.Current.IndexOf("c") == 2), "all have the new one");

        // An instance that learns of two changes at once tells them as one.
        await two.DoAsync("POST", "/backends/a/disable");
        await Await.Until(() => !three.Pools.Current.Backends[0].Enabled, "the third knows of the first change");
        await two.DoAsync("POST", "/backends/b/drain");
        await Await.Until(() => three.Pools.Current.Backends[1].Draining, "and of the second");
        await three.DoAsync("PUT", "/strategy", """{"strategy":"random","failure_threshold":1}""");
        var version = three.Pools.Edits.Version;
        await Await.Until(() => all.All(host => host.Pools.Edits.Version == version), "all have all four");

        Assert.Equal("everywhere", added.Data.GetProperty("in_force").GetString());
        Assert.All(all, host => Assert.Equal(("random", 1, false, true, "k-c"), (host.Pools.Current.Strategy.Name, host.Pools.Current.Options.FailureThreshold,
            host.Pools.Current.Backends[0].Enabled, host.Pools.Current.Backends[1].Draining, host.Pools.Current.Backends[2].ApiKey)));
        foreach (var host in all)
        {
            using var answer = await host.ChatAsync();
            Assert.Equal("c", answer.Headers.GetValues("X-Backend").Single());
        }

        foreach (var action in new[] { "backend_added", "backend_disabled", "backend_drained", "strategy_changed" })
        {
            Assert.Equal(action, (await events.NextAsync("change")).Data.GetProperty("action").GetString());
        }

        Assert.Single(all, host => host.Log.Has("backend_added c"));

        await using var late = await StartAsync(prefix, a);
        await Await.Until(() => late.Pools.Edits.Version == version, "a new instance knows");
    }

    [Fact]
    public async Task Reset_AtOneInstance_BringsTheBackendBackAtAll()
    {
        await using var a = ScriptedUpstream.Start(Scripts.Chat("a"));
        var prefix = redis.NextPrefix();
        await using var one = await StartAsync(prefix, a);
        await using var two = await StartAsync(prefix, a);
        await using var events = await Events.OpenAsync(two, "?types=transition,status");
        await events.NextAsync("status");
        foreach (var kind in new[] { OutcomeKind.QuotaExhausted, OutcomeKind.ServerError, OutcomeKind.ServerError, OutcomeKind.ServerError })
        {
            await one.State.ReleaseAsync(Lease.ForProbe(one.Pools.Current, 0), new(kind));
        }

        var lease = await one.State.AcquireAsync(new() { Pool = one.Pools.Current, Only = 1, Model = "x" }, TestContext.Current.CancellationToken);
        await one.State.ReleaseAsync(lease!, new(OutcomeKind.ModelAbsent));
        Assert.Equal("unhealthy", await StatusAsync(two, "a"));
        var seen = await events.NextAsync("transition");
        var reset = await one.DoAsync("POST", "/backends/a/reset");
        await one.DoAsync("POST", "/backends/b/reset");

        Assert.Equal(("a", "status", "unhealthy", "healthy"), (seen.Data.GetProperty("backend").GetString(), seen.Data.GetProperty("kind").GetString(),
            seen.Data.GetProperty("status").GetString(), seen.Data.GetProperty("cause").GetString()));
        Assert.Equal("everywhere", reset.Data.GetProperty("in_force").GetString());
        Assert.Equal("healthy", await StatusAsync(two, "a"));
        Assert.NotNull(await two.State.AcquireAsync(new() { Pool = two.Pools.Current, Only = 0 }, TestContext.Current.CancellationToken));
        Assert.NotNull(await two.State.AcquireAsync(new() { Pool = two.Pools.Current, Only = 1, Model = "x" }, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Changes_WhileRedisIsGone_AreInForceHereAndThenEverywhere()
    {
        await using var server = await RedisServer.StartAsync();
        await using var a = ScriptedUpstream.Start(Scripts.Chat("a"));
        await using var one = await StartAsync("rb:", a, server.Connection);
        await using var two = await StartAsync("rb:", a, server.Connection);
        await server.KillAsync();
        await Await.Until(() => one.Service<FallbackState>().IsFallenBack, "memory serves");

        var drained = await one.DoAsync("POST", "/backends/a/drain");
        var again = await one.DoAsync("POST", "/backends/a/drain");
        var reset = await one.DoAsync("POST", "/backends/a/reset");
        var status = await one.DoAsync("GET", "/status");
        await server.StartAgainAsync();
        await Await.Until(() => two.Pools.Current.Backends[0].Draining, "the other knows", TimeSpan.FromSeconds(30));

        Assert.Equal("here", again.Data.GetProperty("in_force").GetString());
        Assert.Equal("everywhere", (await two.DoAsync("POST", "/backends/a/drain")).Data.GetProperty("in_force").GetString());
        Assert.Equal(("here", "here", "fallback"), (drained.Data.GetProperty("in_force").GetString(), reset.Data.GetProperty("in_force").GetString(), status.Data.GetProperty("shared_state").GetString()));
    }

    private static async Task<string?> StatusAsync(BalancerHost host, string backend) =>
        (await host.DoAsync("GET", $"/backends/{backend}")).Data.GetProperty("metrics").GetProperty("status").GetString();

    private async Task<BalancerHost> StartAsync(string prefix, ScriptedUpstream upstream, string? connection = null)
    {
        var host = await BalancerHost.StartAsync([upstream, upstream], options => options with
        {
            Redis = RedisAddress.Parse(connection ?? redis.Server.Connection, out _),
            RedisKeyPrefix = prefix,
            RedisTimeout = TimeSpan.FromSeconds(connection is null ? 10 : 0.25),
        });
        await Await.Until(() => !host.Service<FallbackState>().IsFallenBack, "Redis serves");
        return host;
    }
}
