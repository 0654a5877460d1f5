using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

/// <summary>Client keys of a balancer that shares its state, whichever way it does.</summary>
public sealed class SharedKeysTests(SharedRedis redis)
{
    private readonly string _prefix = redis.NextPrefix();

    [Theory]
    [InlineData(Consistency.Strict)]
    [InlineData(Consistency.Relaxed)]
    internal async Task Chat_KeyWithALimit_IsCountedInRedisAndTheStatusSaysSo(Consistency consistency)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        var key = new ClientKey("team", "k-team") { Limits = new() { RequestsPerMinute = 2 } };
        await using var one = await StartAsync(upstream, options => options with { ClientKeys = [key], Consistency = consistency });
        await using var other = await StartAsync(upstream, options => options with { ClientKeys = [key], Consistency = consistency });
        foreach (var host in new[] { one, other })
        {
            await Await.Until(() => host.Log.Has("Redis serves"), "Redis serves");
            await Await.Until(() => !host.Service<IServiceProvider>().FallenBack()!(), "nothing is left to bring in");
            Assert.Equal("redis", (await host.DoAsync("GET", "/status")).Data.GetProperty("shared_state").GetString());
        }

        Assert.Equal(HttpStatusCode.OK, await AskAsync(one, "k-team"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(other, "k-team"));
        Assert.Equal(HttpStatusCode.TooManyRequests, await AskAsync(one, "k-team"));
        Assert.Equal(HttpStatusCode.TooManyRequests, await AskAsync(other, "k-team"));
    }

    [Theory]
    [InlineData(Consistency.Strict)]
    [InlineData(Consistency.Relaxed)]
    internal async Task Usage_RedisIsFlushed_TellsWhatWasSettledAtEveryInstance(Consistency consistency)
    {
        await using var server = await RedisServer.StartAsync();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        BalancerOptions Shared(BalancerOptions options) => options with
        {
            ClientKeys = [new ClientKey("team", "k-team") { Limits = new() { Models = ["x"] } }],
            Consistency = consistency,
            Redis = RedisAddress.Parse(server.Connection, out _),
            RedisTimeout = TimeSpan.FromSeconds(10),
        };
        await using var one = await StartAsync(upstream, Shared);
        await using var other = await StartAsync(upstream, Shared);
        var ledger = new MemoryLedger();
        foreach (var host in new[] { one, other })
        {
            await Await.Until(() => host.Log.Has("Redis serves"), "Redis serves");
            await AskAsync(host, 3, HttpStatusCode.Forbidden);
        }

        await SettleAsync(one, ledger);
        await AskAsync(other, 1, HttpStatusCode.Forbidden);
        await server.SendAsync("FLUSHDB");

        // What was counted since the settlement may be gone, what it brought in is not; nor is anything counted twice when it is brought back.
        foreach (var host in new[] { one, other, one })
        {
            Assert.InRange(await RefusalsAsync(host), 6, 7);
            await SettleAsync(host, ledger);
        }

        var before = await RefusalsAsync(one);
        await AskAsync(other, 2, HttpStatusCode.Forbidden);
        await SettleAsync(one, ledger);
        Assert.Equal(before + 2, await RefusalsAsync(one));
        Assert.Equal(before + 2, (await one.DoAsync("GET", "/keys")).Data.GetProperty("keys")[0].GetProperty("usage").GetProperty("refusals").GetInt64());
        var key = Assert.Single((await other.DoAsync("GET", "/history?key=TEAM&step=3600")).Data.GetProperty("keys").EnumerateArray());
        Assert.Equal(("team", before + 2), (key.GetProperty("name").GetString(), key.GetProperty("points").EnumerateArray().Sum(point => point.GetProperty("refusals").GetInt64())));
    }

    [Fact]
    public async Task FirstRequest_OfANewInstance_FindsTheKeysAsTheyWereChanged()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using (var link = redis.Server.Link())
        {
            Assert.Null(await link.ConnectAsync());
            await using var state = new RedisState(link, _prefix, TimeProvider.System, new Chance(7));
            var edits = PoolEdits.None.WithKey(new ClientKey("made", "k-made")).WithoutKey("gone", isConfigured: true) with { Version = 5 };
            await state.DefineAsync(Pool.DefaultName, 0, edits);
        }

        await using var open = await StartAsync(upstream);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(open, null));

        await using var configured = await StartAsync(upstream, options => options with { ClientKeys = [new("gone", "k-gone")] });
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(configured, "k-gone"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(configured, "k-made"));
    }

    private static async Task AskAsync(BalancerHost host, int times, HttpStatusCode status)
    {
        for (var i = 0; i < times; i++)
        {
            Assert.Equal(status, await AskAsync(host, "k-team"));
        }

        await host.Service<KeyUsage>().FlushAsync();
    }

    private static async Task SettleAsync(BalancerHost host, ILedger ledger)
    {
        var report = await host.Service<Settlement>().RunAsync(ledger, TestContext.Current.CancellationToken);
        Assert.True(report.IsComplete, string.Join("; ", report.Lines));
    }

    private static async Task<long> RefusalsAsync(BalancerHost host)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/stats") { Headers = { { "Authorization", "Bearer k-team" } } };
        using var answer = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);
        var stats = System.Text.Json.JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
        return stats.GetProperty("keys")[0].GetProperty("refusals").GetInt64();
    }

    private static async Task<HttpStatusCode> AskAsync(BalancerHost host, string? key)
    {
        using var answer = await host.ChatAsync(headers: key is null ? [] : [("Authorization", $"Bearer {key}")]);
        return answer.StatusCode;
    }

    private Task<BalancerHost> StartAsync(ScriptedUpstream upstream, Func<BalancerOptions, BalancerOptions>? change = null) => BalancerHost.StartAsync([upstream], options =>
    {
        var shared = options with { Redis = RedisAddress.Parse(redis.Server.Connection, out _), RedisKeyPrefix = _prefix, RedisTimeout = TimeSpan.FromSeconds(10) };
        return change?.Invoke(shared) ?? shared;
    });
}
