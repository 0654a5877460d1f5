using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

public sealed class RedisKeyBooksTests(SharedRedis redis) : KeyBooksContract, IAsyncDisposable
{
    private readonly List<RedisKeyBooks> _books = [];
    private readonly string _prefix = redis.NextPrefix();
    private ulong _seed = 7;

    [Fact]
    public async Task ReserveAsync_TwoInstancesSixtyFourAtOnce_ShareTheLimits()
    {
        var time = new ManualTime();
        RedisKeyBooks[] instances = [Instance(time), Instance(time)];
        var limits = new KeyLimits { RequestsPerMinute = 20, TokensPerMinute = 10_000, MaxConcurrency = 40 };
        var verdicts = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => Task.Run(async () => (await instances[i % 2].ReserveAsync(Demand(limits, 100)))!.Value)));
        Assert.Equal(20, verdicts.Count(verdict => verdict.Refusal == KeyRefusal.None));
        Assert.Equal(2_000, verdicts.Max(verdict => verdict.UsedTokens));
    }

    [Fact]
    public async Task ReserveAsync_InstanceDied_ItsPlacesComeFreeWithin30Seconds()
    {
        var time = new ManualTime();
        var (dead, living) = (Instance(time), Instance(time));
        var limits = new KeyLimits { MaxConcurrency = 1 };
        Assert.Equal(KeyRefusal.None, await Ask(dead, limits));
        await dead.DisposeAsync();
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(KeyRefusal.Concurrency, await Ask(living, limits));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(KeyRefusal.None, await Ask(living, limits));
    }

    [Fact]
    public async Task ReserveAsync_LongRequest_KeepsItsPlace()
    {
        var time = new ManualTime();
        var books = Instance(time);
        var demand = Demand(new KeyLimits { MaxConcurrency = 1 }, 0);
        var held = await books.ReserveAsync(demand);
        for (var i = 0; i < 30; i++)
        {
            time.Advance(TimeSpan.FromSeconds(10));

            // What comes later on the one connection is answered later: the renewal is through.
            Assert.Equal(KeyRefusal.Concurrency, (await books.ReserveAsync(demand))!.Value.Refusal);
        }

        await books.SettleAsync(demand, held!.Value, 0);
        Assert.Equal(KeyRefusal.None, await Ask(books, demand.Key.Limits));
    }

    [Fact]
    public async Task SettleAsync_WhileItsPlaceIsRenewed_ThePlaceStaysFree()
    {
        var time = new ManualTime();
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        var settle = () => default(ValueTask);
        await using var books = new RedisKeyBooks(redis.Link, _prefix, time, new Chance(1), () =>
        {
            (var once, settle) = (settle, () => default);
            _ = once().AsTask();
            return now;
        });
        var demand = Demand(new KeyLimits { MaxConcurrency = 1 }, 0);
        var held = (await books.ReserveAsync(demand))!.Value;
        settle = () => books.SettleAsync(demand, held, 0);

        time.Advance(TimeSpan.FromSeconds(10));

        var refusal = KeyRefusal.Concurrency;
        for (var tries = 0; tries < 200 && refusal != KeyRefusal.None; tries++)
        {
            refusal = await Ask(books, demand.Key.Limits);
        }

        Assert.Equal(KeyRefusal.None, refusal);
    }

    [Fact]
    public async Task ReserveAsync_GrantedTooLate_ThePlaceIsNotKept()
    {
        await using var server = await RedisServer.StartAsync();
        await using var link = server.Link(TimeSpan.FromSeconds(1));
        Assert.Null(await link.ConnectAsync());
        await using var books = new RedisKeyBooks(link, "x:", TimeProvider.System, new Chance(1));
        var demand = Demand(new KeyLimits { MaxConcurrency = 1 }, 0);
        await books.SettleAsync(demand, (await books.ReserveAsync(demand))!.Value, 0);

        await server.SignalAsync("STOP");
        Assert.Null(await books.ReserveAsync(demand));
        await server.SignalAsync("CONT");

        // On the one connection, what was given up on is carried out before this.
        var verdict = default(KeyVerdict?);
        while (verdict is null)
        {
            verdict = await books.ReserveAsync(demand);
        }

        Assert.Equal(KeyRefusal.None, verdict.Value.Refusal);
    }

    [Fact]
    public async Task Chat_ConsistencyRelaxed_KeepsTheSharedLimit()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one two three"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with
        {
            ClientKeys = [new ClientKey("team", "secret-of-the-team") { Limits = new KeyLimits { RequestsPerMinute = 1 } }],
            Consistency = Consistency.Relaxed,
            Redis = RedisAddress.Parse(redis.Server.Connection, out _),
            RedisKeyPrefix = _prefix,
        });
        await Await.Until(() => host.Service<RelaxedState>() is { IsFallenBack: false }, "the shared store serves");
        await host.Service<RedisLink>().ConnectAsync();

        using var first = await host.ChatAsync(headers: ("Authorization", "Bearer secret-of-the-team"));
        using var second = await host.ChatAsync(headers: ("Authorization", "Bearer secret-of-the-team"));

        Assert.Equal((200, 429), ((int)first.StatusCode, (int)second.StatusCode));
        Assert.NotEmpty(await redis.Server.SendAsync("KEYS", _prefix + "*:key:*"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task AnyHistory_SameStepsInMemory_EveryVerdictIsTheSame(ulong seed)
    {
        var chance = new Chance(seed);
        var time = new ManualTime();
        var (memory, shared) = (new InMemoryKeyBooks(time), Instance(time));
        var held = new List<(KeyDemand Demand, KeyVerdict Memory, KeyVerdict Shared)>();
        for (var step = 0; step < 1_500; step++)
        {
            if (chance.Next(3) > 0)
            {
                var limits = new KeyLimits { RequestsPerMinute = 8 + chance.Next(4), TokensPerMinute = 300, MaxConcurrency = 6 };
                var demand = Demand(limits, chance.Next(80));
                var (one, other) = ((await memory.ReserveAsync(demand))!.Value, (await shared.ReserveAsync(demand))!.Value);
                Assert.True(Same(one, other), $"seed {seed}, step {step}: {one} in memory, {other} in Redis");
                if (one.Refusal == KeyRefusal.None)
                {
                    held.Add((demand, one, other));
                }
            }
            else if (held.Count > 0)
            {
                var (demand, one, other) = held[chance.Next(held.Count)];
                held.RemoveAll(pair => pair.Memory == one);
                var used = chance.Next(120);
                await memory.SettleAsync(demand, one, used);
                await shared.SettleAsync(demand, other, used);
            }

            time.Advance(TimeSpan.FromMilliseconds(chance.Next(60) == 0 ? chance.Next(100_000) : chance.Next(4_000)));

            // Places in memory do not expire, those in Redis are renewed: by a call that is answered before the next step.
            await shared.ReserveAsync(Demand(new KeyLimits { RequestsPerMinute = 1 }, 0, "other"));
        }
    }

    [Fact]
    public async Task ReserveAsync_AnyKey_ExpiresByItself()
    {
        var books = Instance(new ManualTime());
        await Ask(books, new KeyLimits { RequestsPerMinute = 9, MaxConcurrency = 9 });
        var keys = (await redis.Server.SendAsync("KEYS", _prefix + "*")).Split("\r\n").Where(line => line.StartsWith(_prefix, StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, keys.Length);
        foreach (var key in keys)
        {
            Assert.StartsWith($"{_prefix}{{default}}:key:", key, StringComparison.Ordinal);
            Assert.DoesNotContain(":-", await redis.Server.SendAsync("PTTL", key), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task FallbackKeyBooks_RedisDies_MemoryDecidesAndRedisAgainWhenItIsBack()
    {
        await using var server = await RedisServer.StartAsync();
        await using var link = server.Link(TimeSpan.FromSeconds(5));
        Assert.Null(await link.ConnectAsync());
        await using var shared = new RedisKeyBooks(link, "x:", TimeProvider.System, new Chance(1));
        var time = new ManualTime();
        var books = new FallbackKeyBooks(shared, new InMemoryKeyBooks(time), () => false, time, NullLogger<FallbackKeyBooks>.Instance);
        var demand = Demand(new KeyLimits { RequestsPerMinute = 2 }, 0);
        Assert.True((await books.ReserveAsync(demand))!.Value.IsShared);

        await server.KillAsync();
        var alone = (await books.ReserveAsync(demand))!.Value;
        Assert.Equal((KeyRefusal.None, false, 1L), (alone.Refusal, alone.IsShared, alone.UsedRequests));
        Assert.Equal(KeyRefusal.None, (await books.ReserveAsync(demand))!.Value.Refusal);
        Assert.Equal(KeyRefusal.Requests, (await books.ReserveAsync(demand))!.Value.Refusal);
        await books.SettleAsync(demand, alone, 0);

        await server.StartAgainAsync();
        await Await.Until(() => link.IsConnected, "the connection is there again");
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True((await books.ReserveAsync(demand))!.Value.IsShared);
    }

    [Fact]
    public async Task KeyUsage_TwoInstances_AddUpOnceAndSurviveAnOutage()
    {
        var time = new ManualTime();
        using var one = Usage(time, redis.Link, 1);
        using var other = Usage(time, redis.Link, 2);
        one.Of("Team").Admit(10, 5);
        other.Of("team").Admit(1, 2);
        other.Of("team").Refuse(1);
        await one.FlushAsync();
        await one.FlushAsync();
        Assert.Equal(new KeyCounts(2, 1, 11, 7), (await other.ReadAsync())["TEAM"]);
        await other.FlushAsync();
        Assert.Equal(new KeyCounts(2, 1, 11, 7), (await one.ReadAsync())["team"]);

        await using var nowhere = new RedisLink(RedisAddress.Parse($"127.0.0.1:{RedisServer.FreePort()}", out _)!, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger<RedisLink>.Instance);
        using var alone = Usage(time, nowhere, 3);
        alone.Of("team").Admit(1, 1);
        await alone.FlushAsync();
        alone.Of("team").Admit(1, 1);
        await alone.FlushAsync();
        Assert.Equal(new KeyCounts(2, 0, 2, 2), (await alone.ReadAsync())["team"]);

        var counted = (await one.ReadAsync()).Stored["team"];
        other.Of("team").Admit(0, 0);
        await other.FlushAsync();
        await one.ForgetAsync("team", counted);
        Assert.Equal(3, (await one.ReadAsync())["team"].Requests);

        var last = (await one.ReadAsync()).Stored["team"];
        await one.ForgetAsync("team", last);
        Assert.Empty((await one.ReadAsync()).Names);
        other.Of("team").Admit(0, 0);
        await other.FlushAsync();
        var anew = (await one.ReadAsync()).Stored["team"];
        Assert.Equal(new KeyCounts(1, 0, 0, 0), anew.Counts);
        Assert.NotEqual(last.Birth, anew.Birth);
    }

    [Fact]
    public async Task KeyUsage_BatchWasCountedAndTheAnswerLost_IsToldOnce()
    {
        await using var server = await RedisServer.StartAsync();
        await server.KillAsync();
        await using var link = server.Link();
        using var usage = Usage(new ManualTime(), link, 1);
        usage.Of("team").Admit(10, 5);
        await usage.FlushAsync();
        usage.Of("team").Admit(1, 1);
        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await usage.ReadAsync())["team"]);

        // The same instance to Redis, since its number is drawn by the same lot: the first batch gets there.
        await server.StartAgainAsync();
        await Await.Until(() => link.IsConnected, "the connection is there");
        var twin = new RedisKeyCounts(link, _prefix, "default", new Chance(1));
        Assert.True(await twin.AddAsync(1, new Dictionary<string, KeyCounts> { ["team"] = new(1, 0, 10, 5) }));

        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await usage.ReadAsync())["team"]);
        await usage.FlushAsync();
        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await usage.ReadAsync())["team"]);
        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await usage.ReadAsync()).Stored["team"].Counts);
    }

    [Fact]
    public async Task AddAsync_SameBatchTwice_CountsOnce()
    {
        var counts = new RedisKeyCounts(redis.Link, _prefix, "default", new Chance(1));
        var batch = new Dictionary<string, KeyCounts> { ["a:b"] = new(1, 0, 3, 0) };
        Assert.True(await counts.AddAsync(1, batch));
        Assert.True(await counts.AddAsync(1, batch));
        Assert.True(await counts.AddAsync(2, batch));
        Assert.Equal(new KeyCounts(2, 0, 6, 0), (await counts.ReadAsync())!.Keys["a:b"].Counts);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var books in _books)
        {
            await books.DisposeAsync();
        }
    }

    private protected override IKeyBooks Create(ManualTime time) => Instance(time);

    private static async ValueTask<KeyRefusal> Ask(RedisKeyBooks books, KeyLimits limits) => (await books.ReserveAsync(Demand(limits, 0)))!.Value.Refusal;

    private static bool Same(KeyVerdict one, KeyVerdict other) => one with { Hold = 0 } == other with { Hold = 0, IsShared = false };

    private KeyUsage Usage(ManualTime time, RedisLink link, ulong seed) => new(time, new RedisKeyCounts(link, _prefix, "default", new Chance(seed)));

    private RedisKeyBooks Instance(ManualTime time)
    {
        var (startedAt, startedAtMs) = (time.GetTimestamp(), time.GetUtcNow().ToUnixTimeMilliseconds());
        var books = new RedisKeyBooks(redis.Link, _prefix, time, new Chance(_seed++), () => startedAtMs + (long)time.GetElapsedTime(startedAt).TotalMilliseconds);
        _books.Add(books);
        return books;
    }
}
