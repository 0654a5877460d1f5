using System.Collections.Concurrent;
using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Ledger;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

/// <summary>What client keys were used for over time, of many keys and in a store that others fill.</summary>
public sealed class SharedKeyHistoryTests(SharedRedis redis)
{
    private readonly string _prefix = redis.NextPrefix();
    private readonly LeapTime _time = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ReadAsync_AllOfManyKeys_ReadsSomeAtATime()
    {
        const int keys = 120;
        await using var link = redis.Server.Link();
        Assert.Null(await link.ConnectAsync());
        await KeepAsync(link, Enumerable.Range(0, keys).Select(i => $"Key{i}"));
        await using var instance = new SettlingInstance(_time, 1, link, _prefix);
        var calls = new ConcurrentQueue<string>();
        link.Called = (script, _, _) => calls.Enqueue(script);

        var report = await instance.KeyHistory.ReadAsync(null, _time.GetUtcNow().AddHours(-3), _time.GetUtcNow(), TimeSpan.FromHours(1), Token);

        Assert.Equal(KeyHistoryFault.None, report.Fault);
        Assert.Equal(keys, report.Keys.Count(key => key.Points.Sum(point => point.Counted.Successes) == 2));
        Assert.Equal(3, calls.Count(script => script == "keys_logs"));
        var one = await instance.KeyHistory.ReadAsync("KEY7", _time.GetUtcNow().AddHours(-3), _time.GetUtcNow(), TimeSpan.FromHours(1), Token);
        Assert.Equal(2, Assert.Single(one.Keys).Points.Sum(point => point.Counted.Successes));
    }

    [Fact]
    public async Task History_TooManyPointsOfAllKeys_IsRefusedAndNamesTheStep()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            Backends = [Pools.Backend("a")],
            HealthCheckEnabled = false,
            ClientKeys = [.. Enumerable.Range(0, 150).Select(i => new ClientKey($"k{i}", $"secret{i}"))],
        });
        var from = TimeProvider.System.GetUtcNow().AddDays(-30).ToUnixTimeSeconds();
        var refused = await host.CallAsync("GET", $"/history?key=*&step=3600&from={from}");
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_parameter"), (refused.Status, refused.Code));
        Assert.Equal(150, (await host.DoAsync("GET", $"/history?key=*&step=86400&from={from}")).Data.GetProperty("keys").GetArrayLength());
        Assert.Equal(1, (await host.DoAsync("GET", $"/history?key=k1&step=3600&from={from}")).Data.GetProperty("keys").GetArrayLength());
    }

    [Theory]
    [InlineData("a")]
    [InlineData("*")]
    public async Task History_RedisDoesNotServe_IsAnError(string key)
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            Backends = [Pools.Backend("a")],
            HealthCheckEnabled = false,
            ClientKeys = [new ClientKey("a", "secret")],
            Redis = RedisAddress.Parse($"127.0.0.1:{RedisServer.FreePort()}", out _),
        });
        var reply = await host.CallAsync("GET", $"/history?key={key}");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "redis_unavailable"), (reply.Status, reply.Code));
    }

    [Fact]
    public async Task ReadAsync_TotalsOften_ReadsWhatTheLedgerHoldsOnceInTwoSeconds()
    {
        await using var link = redis.Server.Link();
        Assert.Null(await link.ConnectAsync());
        await KeepAsync(link, ["a"]);
        await using var instance = new SettlingInstance(_time, 1, link, _prefix);
        var calls = new ConcurrentQueue<string>();
        link.Called = (script, _, _) => calls.Enqueue(script);
        async Task<(long Requests, int Readings)> Read() => ((await instance.KeyTotals.ReadAsync(["a"]))["a"].Requests, calls.Count(script => script == "base_read"));

        Assert.Equal((2, 1), await Read());
        Assert.Equal((2, 1), await Read());
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((2, 2), await Read());

        // Counters that begin anew are a reason to look at once.
        instance.Usage.Of("a").Admit(1, 1);
        await instance.Usage.FlushAsync();
        Assert.Equal((3, 3), await Read());
        Assert.Equal((3, 3), await Read());
    }

    [Fact]
    public async Task FollowAsync_KeyThatTheLedgerForgot_IsForgottenHereToo()
    {
        await KeepAsync(redis.Link, ["a", "B", "gone"]);
        await using var one = new SettlingInstance(_time, 1, redis.Link, _prefix);
        await using var other = new SettlingInstance(_time, 2, redis.Link, _prefix);
        await other.KeyAccounts.FollowAsync();
        Assert.Equal(["a", "b", "gone"], other.KeyAccounts.Records.Keys.Order(StringComparer.Ordinal));

        // What is in force stays, whatever the store has lost.
        await one.KeyAccounts.DropAsync(["gone", "b"]);
        await other.KeyAccounts.FollowAsync();
        Assert.Equal(["a", "b"], other.KeyAccounts.Records.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task FollowAsync_StoreWithNothing_IsNoReasonToForget()
    {
        await KeepAsync(redis.Link, ["gone"]);
        await using var instance = new SettlingInstance(_time, 1, redis.Link, _prefix);
        await instance.KeyAccounts.FollowAsync();
        await instance.KeyAccounts.FollowAsync();
        await new RedisKeyBase(redis.Link, _prefix, Pool.DefaultName).DropAsync(["gone"]);
        await instance.KeyAccounts.FollowAsync();
        Assert.Equal(["gone"], instance.KeyAccounts.Records.Keys);
    }

    /// <summary>Leaves records there as a settlement would: two requests an hour ago.</summary>
    private async Task KeepAsync(RedisLink link, IEnumerable<string> names)
    {
        var used = Tally.Of(new KeyCounts(2, 0, 4, 6));
        var record = BackendRecord.None with { Version = 1, Totals = used, History = HourLog.Empty.With(HourLog.HourOf(_time.GetUtcNow().AddHours(-1)), Bucket.Of(used)) };
        Assert.True(await new RedisKeyBase(link, _prefix, Pool.DefaultName).KeepAsync(names.Select(name => KeyValuePair.Create(name, record))));
    }
}
