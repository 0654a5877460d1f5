using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>Many at once share calls: what comes of it is what would have come of one call each, in their order. The server is its own: it is paused.</summary>
public sealed class RedisBatchTests(SharedRedis redis) : IClassFixture<SharedRedis>, IAsyncLifetime
{
    private readonly RedisLink _link = redis.Server.Link();
    private readonly ManualTime _time = new();
    private readonly string _prefix = redis.NextPrefix();
    private int _calls;

    public static TheoryData<string, ulong> Cases
    {
        get
        {
            var cases = new TheoryData<string, ulong>();
            foreach (var strategy in StrategyTable.All)
            {
                for (ulong seed = 1; seed <= 6; seed++)
                {
                    cases.Add(strategy.Name, seed);
                }
            }

            return cases;
        }
    }

    public async ValueTask InitializeAsync()
    {
        _link.Called = (_, _, _) => Interlocked.Increment(ref _calls);
        Assert.Null(await _link.ConnectAsync());
    }

    public ValueTask DisposeAsync() => _link.DisposeAsync();

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task AnyHistory_ManyAtOnce_EveryChoiceAndNumberIsThatOfOneByOneInMemory(string strategy, ulong seed)
    {
        var chance = new Chance(seed);
        var memoryChance = new Chance(99);
        var memory = new InMemoryState(_time, memoryChance);
        await using var shared = Instance(new Chance(99));

        // The shared store draws where its leases' numbers begin, and once more when it meets a pool.
        memoryChance.NextBits();
        memoryChance.NextBits();
        var pool = seed % 3 == 0 ? StateHistory.Definition(chance, 1, strategy) : Alike(chance, strategy, seed % 3 == 1 ? 7 : 40);
        var held = new List<(Lease Shared, Lease Memory)>();
        var acquires = 0;
        await shared.PrepareAsync(pool);
        for (var step = 0; step < 60; step++)
        {
            var where = $"seed {seed}, step {step}, {strategy}";
            var ending = held.Where(_ => chance.Next(3) == 0).ToList();
            held.RemoveAll(ending.Contains);
            var outcomes = ending.ConvertAll(_ => StateHistory.Outcome(chance));
            var requests = Enumerable.Range(0, chance.Next(24)).Select(_ => StateHistory.Request(pool, chance)).ToList();
            acquires += requests.Count;

            // All of them before the first is answered: two calls, if so many.
            await redis.Server.SendAsync("CLIENT", "PAUSE", "60000", "WRITE");
            var releasing = ending.Select((pair, i) => shared.ReleaseAsync(pair.Shared, outcomes[i]).AsTask()).ToList();
            var acquiring = requests.ConvertAll(request => shared.AcquireAsync(request, TestContext.Current.CancellationToken).AsTask());
            await redis.Server.SendAsync("CLIENT", "UNPAUSE");
            await Task.WhenAll(releasing);
            var granted = await Task.WhenAll(acquiring);
            for (var i = 0; i < ending.Count; i++)
            {
                await memory.ReleaseAsync(ending[i].Memory, outcomes[i]);
            }

            for (var i = 0; i < requests.Count; i++)
            {
                var (one, other) = (granted[i], await memory.AcquireAsync(requests[i], TestContext.Current.CancellationToken));
                Assert.True((one?.Index, one?.Epoch, one?.IsTrial) == (other?.Index, other?.Epoch, other?.IsTrial), $"{where}, {i} of {requests.Count}: {one?.Index} but {other?.Index} in memory");
                if (one is not null)
                {
                    held.Add((one, other!));
                }
            }

            StateHistory.Compare(
                await shared.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken), await memory.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken), pool, where);
            _time.Advance(TimeSpan.FromMilliseconds(chance.Next(4) == 0 ? chance.Next(4_000) : chance.Next(300)));
        }

        Assert.True(_calls < acquires / 2, $"{_calls} calls for {acquires} acquires");
    }

    [Fact]
    public async Task AcquireAsync_ManyOfTwoPoolsAtOnce_EachGetsABackendOfItsOwn()
    {
        await using var shared = Instance(new Chance(3));
        Pool[] pools = [Pools.Of("round_robin", 1, 1), Pools.Of("least_connections", 1, 1, 1)];
        foreach (var pool in pools)
        {
            await shared.PrepareAsync(pool);
        }

        var requests = Enumerable.Range(0, 60).Select(i => new AcquireRequest { Pool = pools[i / 7 % 2] }).ToList();
        var leases = await Task.WhenAll(requests.Select(request => shared.AcquireAsync(request, TestContext.Current.CancellationToken).AsTask()));
        Assert.All(leases.Zip(requests), pair => Assert.Same(pair.Second.Pool, pair.First!.Pool));
        Assert.Equal(60, leases.Select(lease => lease!.Id).Distinct().Count());
        await Task.WhenAll(leases.Select(lease => shared.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.Succeeded)).AsTask()));
        var known = (await shared.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
        Assert.Equal((60L, 0), (known.Sum(backend => backend.Totals.Requests), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task AcquireAsync_StoreBeganAnewBeforeABatch_AllAreServedByTheNewOne()
    {
        await using var shared = Instance(new Chance(3));
        var pool = Pools.Of("round_robin", 1, 1);
        await shared.PrepareAsync(pool);
        foreach (var key in new[] { "board", "cards", "leases", "notes", "totals", "names" })
        {
            await redis.Server.SendAsync("DEL", $"{_prefix}{{default}}:{key}");
        }

        var leases = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => shared.AcquireAsync(new AcquireRequest { Pool = pool }, TestContext.Current.CancellationToken).AsTask()));
        Assert.All(leases, Assert.NotNull);
        Assert.Equal(40, (await shared.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends.Sum(backend => backend.Vitals.InFlight));
    }

    [Fact]
    public async Task AcquireAsync_ListenerThrows_NothingIsLostOrKept()
    {
        await using var shared = Instance(new Chance(3));
        var pool = Pools.Of("round_robin", 1, 1);
        var ending = new List<Lease>();
        for (var i = 0; i < 6; i++)
        {
            ending.Add((await shared.AcquireAsync(new AcquireRequest { Pool = pool, Only = 0 }, TestContext.Current.CancellationToken))!);
        }

        shared.Changed += _ => throw new InvalidOperationException("a listener's");
        await redis.Server.SendAsync("CLIENT", "PAUSE", "60000", "WRITE");
        Task[] told =
        [
            .. ending.Select(lease => shared.ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.ServerError)).AsTask()),
            .. Enumerable.Range(0, 9).Select(_ => shared.AcquireAsync(new AcquireRequest { Pool = pool }, TestContext.Current.CancellationToken).AsTask()),
        ];
        await redis.Server.SendAsync("CLIENT", "UNPAUSE");
        var faults = await Task.WhenAll(told.Select(one => Record.ExceptionAsync(() => one).AsTask()));
        Assert.All(faults, fault => Assert.True(fault is null or SharedStateException, $"{fault}"));
        Assert.Contains(faults, fault => fault is not null);
        Assert.Empty(shared.HeldLeases);
        Assert.Null(await shared.CatchUpAsync(pool));
        var known = (await shared.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
        Assert.Equal((6L, 0), (known.Sum(backend => backend.Totals.Requests), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task CatchUpAsync_ListenerThrows_OutcomesAreKeptAndCountOnce()
    {
        await using var shared = Instance(new Chance(3));
        var pool = Pools.Of("round_robin", 1);
        for (var i = 0; i < 6; i++)
        {
            var lease = await shared.AcquireAsync(new AcquireRequest { Pool = pool }, TestContext.Current.CancellationToken);
            shared.SettleLater(lease!, new AttemptOutcome(OutcomeKind.ServerError));
        }

        shared.Changed += _ => throw new InvalidOperationException("a listener's");
        Assert.Equal(nameof(InvalidOperationException), await shared.CatchUpAsync(pool));
        Assert.Equal(6, shared.Unsettled);
        Assert.Null(await shared.CatchUpAsync(pool));
        var known = (await shared.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).For("a");
        Assert.Equal((6L, 0), (known.Totals.Requests, known.Vitals.InFlight));
    }

    [Fact]
    public async Task CatchUpAsync_ManyBackendsAndManyThatMayHaveBeenTaken_AreTakenBackAFewInACall()
    {
        await using var shared = Instance(new Chance(3));
        var pool = Pools.Of([.. Enumerable.Range(0, 300).Select(i => Pools.Backend($"b{i}"))]);
        await shared.PrepareAsync(pool);
        await redis.Server.SendAsync("CLIENT", "PAUSE", "60000", "WRITE");
        var asking = Enumerable.Range(0, 100).Select(_ => shared.AcquireAsync(new AcquireRequest { Pool = pool }, TestContext.Current.CancellationToken).AsTask()).ToList();
        await redis.Server.SendAsync("CONFIG", "SET", "maxmemory", "1");
        await redis.Server.SendAsync("CLIENT", "UNPAUSE");
        foreach (var one in asking)
        {
            await Assert.ThrowsAsync<SharedStateException>(() => one);
        }

        await redis.Server.SendAsync("CONFIG", "SET", "maxmemory", "0");
        var cancels = 0;
        _link.Called = (name, _, _) => cancels += name == "cancel" ? 1 : 0;
        Assert.Null(await shared.CatchUpAsync(pool));
        Assert.InRange(cancels, 92 / 13, 100);
    }

    /// <summary>All with the same limit, few or many: what scripts look at by a glance, and what they read as far as they need it.</summary>
    private static Pool Alike(Chance chance, string strategy, int count)
    {
        var most = 1 + chance.Next(4);
        return new Pool(
            new BalancerOptions
            {
                Strategy = strategy,
                Backends = [.. Enumerable.Range(0, count).Select(i => Pools.Backend($"b{i}", chance.Next(4)) with { MaxConnections = most, Priority = chance.Next(2) }), Pools.Backend("sure") with { MaxConnections = most }],
            },
            version: 1);
    }

    private RedisState Instance(Chance chance)
    {
        var (startedAt, startedAtMs) = (_time.GetTimestamp(), _time.GetUtcNow().ToUnixTimeMilliseconds());
        return new RedisState(_link, _prefix, _time, chance, () => startedAtMs + (long)_time.GetElapsedTime(startedAt).TotalMilliseconds);
    }
}
