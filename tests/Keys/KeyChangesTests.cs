using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;
using Roadbalancer.Tests.WholePath;

namespace Roadbalancer.Tests.Keys;

/// <summary>Client keys that are made, changed and taken away while the balancer runs.</summary>
public sealed class KeyChangesTests
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    [Fact]
    public async Task CreateAsync_OpenBalancer_ClosesItAndTheSecretIsToldOnce()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        var made = await host.Service<KeyChanges>().CreateAsync("team", new KeyLimits { RequestsPerMinute = 1 }, Cancel);

        Assert.Equal((KeyChangeKind.Done, true), (made.Kind, made.IsEverywhere));
        Assert.Matches("^rb-[A-Za-z0-9_-]{43}$", made.Secret);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, null));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, made.Secret));
        Assert.Equal(HttpStatusCode.TooManyRequests, await AskAsync(host, made.Secret));
        Assert.DoesNotContain(made.Secret![3..], $"{made} {made.Key} {host.Pools.Edits.ToJson()}" + string.Join('\n', host.Log.Lines), StringComparison.Ordinal);
        Assert.True(host.Log.Has("Client key team has been made"));
    }

    [Fact]
    public async Task CreateAsync_NameTaken_ChangesNothing()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        var made = await host.Service<KeyChanges>().CreateAsync("TEAM", KeyLimits.None, Cancel);
        Assert.Equal((KeyChangeKind.NameTaken, null), (made.Kind, made.Secret));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, "configured"));
    }

    [Fact]
    public async Task ChangeAsync_ConfiguredKey_NewLimitsAndTheConfiguredSecret()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        var changed = await host.Service<KeyChanges>().ChangeAsync("Team", limits => limits with { Models = ["x"] }, Cancel);
        Assert.Equal((KeyChangeKind.Done, "team"), (changed.Kind, changed.Key!.Name));
        Assert.Empty(changed.Before!.Models);
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(host, "configured"));

        // A secret that is changed in the configuration is in force at once, under the limits made here.
        host.Pools.Swap(host.Pools.Configured with { ClientKeys = [new ClientKey("team", "rotated")] });
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, "configured"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(host, "rotated"));
    }

    [Fact]
    public async Task RemoveAsync_AnyKey_IsRefusedAtOnceAndTheLastOneStays()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        var changes = host.Service<KeyChanges>();
        Assert.Equal(KeyChangeKind.IsLast, (await changes.RemoveAsync("team", Cancel)).Kind);
        var made = await changes.CreateAsync("other", KeyLimits.None, Cancel);
        Assert.Equal(KeyChangeKind.Done, (await changes.RemoveAsync("team", Cancel)).Kind);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, "configured"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, made.Secret));
        Assert.Equal(KeyChangeKind.Unknown, (await changes.RemoveAsync("team", Cancel)).Kind);
        Assert.Equal(KeyChangeKind.Unknown, (await changes.ChangeAsync("team", limits => limits, Cancel)).Kind);
        Assert.Equal(KeyChangeKind.IsLast, (await changes.RemoveAsync("other", Cancel)).Kind);
    }

    [Fact]
    public void ApplyTo_ConfigurationLosesTheOtherKeys_StaysClosed()
    {
        var edits = PoolEdits.None.WithoutKey("a", isConfigured: true);
        var options = edits.ApplyTo(new BalancerOptions { ClientKeys = [new ClientKey("a", "k")], Backends = [Pools.Backend("x")] });
        Assert.True(options.IsClosed);
        Assert.False(new Pool(options, 1).Keys.IsOpen);
    }

    [Fact]
    public void ToJson_KeysAndLimits_ComeBackAsTheyWere()
    {
        var key = new ClientKey("a", "k")
        {
            CreatedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            Limits = new KeyLimits { Models = ["m*"], Tags = ["t"], RequestsPerMinute = 1, TokensPerMinute = 2, MaxConcurrency = 3, Expires = new DateTimeOffset(2027, 1, 1, 0, 0, 0, TimeSpan.Zero) },
        };
        var edits = PoolEdits.None.With(Pools.Backend("b")).WithKey(key).WithoutKey("c", isConfigured: true);
        var read = PoolEdits.Parse(edits.ToJson());
        Assert.Equal(edits.ToJson(), read.ToJson());
        var back = Assert.Single(read.Keys);
        Assert.Equal(("a", key.Hash, key.CreatedAt, key.Limits.Expires, 3), (back.Name, back.Hash, back.CreatedAt, back.Limits.Expires, back.Limits.MaxConcurrency));
        Assert.Equal(["c"], read.RemovedKeys);

        // What was written before there were keys is read as well.
        Assert.Empty(PoolEdits.Parse("""{"Version":3,"Put":[],"Removed":["x"]}""").Keys);
    }

    [Fact]
    public async Task CreateAsync_TwoInstancesOneRedis_KeyAndLimitsHoldAtBoth()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        Task<BalancerHost> Start() => BalancerHost.StartAsync([upstream], options => options with
        {
            ClientKeys = [new ClientKey("team", "configured")],
            Redis = Roadbalancer.Redis.RedisAddress.Parse(redis.Connection, out _),
            RedisTimeout = TimeSpan.FromSeconds(5),
        });
        await using var one = await Start();
        await using var other = await Start();
        await Await.Until(() => one.Log.Has("Redis serves") && other.Log.Has("Redis serves"), "both share their state", TimeSpan.FromSeconds(30));
        var made = await one.Service<KeyChanges>().CreateAsync("new", new KeyLimits { RequestsPerMinute = 10, MaxConcurrency = 64 }, Cancel);
        await Await.Until(() => other.Pools.Current.Keys.Named("new") is not null, "the other knows the key");

        var answers = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => AskAsync(i % 2 == 0 ? one : other, made.Secret)));
        Assert.Equal(10, answers.Count(status => status == HttpStatusCode.OK));
        Assert.Equal(54, answers.Count(status => status == HttpStatusCode.TooManyRequests));
        Assert.Equal(10, upstream.Requests.Count);

        // Places taken for requests that were then refused are given back.
        await one.SettledAsync();
        await one.Service<KeyUsage>().FlushAsync();
        await other.Service<KeyUsage>().FlushAsync();
        Assert.Equal((10L, 54L), ((await one.Service<KeyUsage>().ReadAsync())["new"].Requests, (await other.Service<KeyUsage>().ReadAsync())["new"].Refusals));

        await redis.KillAsync();
        Assert.Equal(HttpStatusCode.OK, await AskAsync(one, made.Secret));
        await Await.Until(() => one.Log.Has("limits of client keys hold for each instance alone"), "the log says so");
    }

    private static Task<BalancerHost> StartAsync(ScriptedUpstream upstream) =>
        BalancerHost.StartAsync([upstream], options => options with { ClientKeys = [new ClientKey("team", "configured")] });

    private static async Task<HttpStatusCode> AskAsync(BalancerHost host, string? secret)
    {
        using var answer = secret is null ? await host.ChatAsync() : await host.ChatAsync(headers: ("Authorization", "Bearer " + secret));
        await answer.Content.ReadAsStringAsync(Cancel);
        return answer.StatusCode;
    }
}
