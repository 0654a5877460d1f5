using System.Net;
using Roadbalancer.Backends;
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
