using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

public sealed class RedisStateTests(SharedRedis redis) : BalancerStateContract, IAsyncDisposable
{
    private readonly List<RedisState> _states = [];
    private readonly string _prefix = redis.NextPrefix();

    [Fact]
    public async Task AcquireAsync_ThreeInstances_ShareOneSmoothSequence()
    {
        var time = new ManualTime();
        RedisState[] instances = [Instance(time), Instance(time), Instance(time)];
        var names = "";
        for (var i = 0; i < 14; i++)
        {
            // Each instance has a pool object of its own, as processes do.
            var lease = await Acquire(instances[i % 3], Pools.Of("weighted_round_robin", 5, 1, 1));
            names += lease!.Backend.Name;
            await instances[i % 3].ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.Succeeded));
        }

        Assert.Equal("aabacaaaabacaa", names);
    }

    [Fact]
    public async Task AcquireAsync_ThreeInstances_ShareTheLimit()
    {
        var time = new ManualTime();
        RedisState[] instances = [Instance(time), Instance(time), Instance(time)];
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = 10 });
        for (var i = 0; i < 10; i++)
        {
            Assert.NotNull(await Acquire(instances[i % 3], pool));
        }

        Assert.Null(await Acquire(instances[0], pool));
        Assert.Null(await Acquire(instances[1], pool));
    }

    [Fact]
    public async Task ReleaseAsync_ThreeFailuresAtThreeInstances_OpenTheCircuitForAllAndOneTrialFollows()
    {
        var time = new ManualTime();
        RedisState[] instances = [Instance(time), Instance(time), Instance(time)];
        var pool = Pools.Of("round_robin", 1);
        foreach (var instance in instances)
        {
            await instance.ReleaseAsync((await Acquire(instance, pool))!, new AttemptOutcome(OutcomeKind.ServerError));
        }

        foreach (var instance in instances)
        {
            Assert.Null(await Acquire(instance, pool));
        }

        time.Advance(TimeSpan.FromSeconds(7));
        var trials = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Acquire(instances[i % 3], pool).AsTask()));
        Assert.True(Assert.Single(trials, lease => lease is not null)!.IsTrial);
    }

    [Fact]
    public async Task AcquireAsync_InstanceDied_ItsPlacesComeFreeWithin30Seconds()
    {
        var time = new ManualTime();
        var (dead, living) = (Instance(time), Instance(time));
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = 100 });
        for (var i = 0; i < 100; i++)
        {
            Assert.NotNull(await Acquire(dead, pool));
        }

        Assert.Null(await Acquire(living, pool));
        await dead.DisposeAsync();
        time.Advance(TimeSpan.FromSeconds(24));
        Assert.Null(await Acquire(living, pool));
        time.Advance(TimeSpan.FromSeconds(1.1));
        Assert.NotNull(await Acquire(living, pool));
        Assert.Equal(1, (await Read(living)).For("a").Vitals.InFlight);
    }

    [Fact]
    public async Task ReadAsync_InstanceDiedAndNobodyAsks_CountsAreRightAfterALivingOnesRenewal()
    {
        var time = new ManualTime();
        var (dead, living) = (Instance(time), Instance(time));
        var pool = Pools.Of("round_robin", 1);
        await Acquire(dead, pool);
        await dead.DisposeAsync();
        var kept = await Acquire(living, pool);
        await PassAsync(time, living, pool, TimeSpan.FromSeconds(35));
        Assert.Equal(1, (await Read(living)).For("a").Vitals.InFlight);
        await living.ReleaseAsync(kept!, new AttemptOutcome(OutcomeKind.Succeeded));
        Assert.Equal(0, (await Read(living)).For("a").Vitals.InFlight);
    }

    [Fact]
    public async Task ReleaseAsync_StreamOfAnHour_KeepsItsLeaseAndCountsOnce()
    {
        var time = new ManualTime();
        var state = Instance(time);
        var pool = Pools.Of("round_robin", 1);
        var lease = await Acquire(state, pool);
        for (var part = 0; part < 12; part++)
        {
            await PassAsync(time, state, pool, TimeSpan.FromMinutes(5));
            Assert.Equal(1, (await Read(state)).For("a").Vitals.InFlight);
        }

        await state.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.Succeeded));
        var known = (await Read(state)).For("a");
        Assert.Equal((0, 1L), (known.Vitals.InFlight, known.Totals.Requests));
    }

    [Fact]
    public async Task ReleaseAsync_LeaseExpiredMeanwhile_OutcomeCountsAllTheSame()
    {
        var time = new ManualTime();
        var (frozen, living) = (Instance(time), Instance(time));
        var pool = Pools.Of("round_robin", 1);
        var lease = await Acquire(frozen, pool);
        await frozen.DisposeAsync();
        await Acquire(living, pool);
        await PassAsync(time, living, pool, TimeSpan.FromSeconds(35));
        Assert.Equal(1, (await Read(living)).For("a").Vitals.InFlight);
        await frozen.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.Succeeded));
        var known = (await Read(living)).For("a");
        Assert.Equal((1, 1L), (known.Vitals.InFlight, known.Totals.Requests));
    }

    [Fact]
    public async Task ReleaseAsync_StoreBeganAnewMeanwhile_CountsOnceAndHoldsNothing()
    {
        var time = new ManualTime();
        var state = Instance(time);
        var pool = Pools.Of("round_robin", 1, 1);
        var lease = await Acquire(state, pool);
        await redis.Server.SendAsync("DEL", $"{_prefix}{{default}}:board");
        await state.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.Succeeded));
        var known = (await Read(state)).For(lease!.Backend.Name);
        Assert.Equal((0, 1L), (known.Vitals.InFlight, known.Totals.Requests));
    }

    [Fact]
    public async Task SettleAsync_LeaseGrantedElsewhereSentTwice_CountsOnce()
    {
        var time = new ManualTime();
        var state = Instance(time);
        var pool = Pools.Of("round_robin", 1);
        await state.PrepareAsync(pool);
        var lease = new Lease(pool, 0, state.ReserveLeaseId(), epoch: -1, isTrial: false);
        state.Adopt(lease);
        Assert.Null(await state.CatchUpAsync(pool));
        Assert.Equal(1, (await Read(state)).For("a").Vitals.InFlight);
        var again = Instance(time);
        again.Adopt(lease);
        again.SettleLater(lease, new AttemptOutcome(OutcomeKind.Succeeded));
        again.SettleLater(lease, new AttemptOutcome(OutcomeKind.Succeeded));
        Assert.Null(await again.CatchUpAsync(pool));
        Assert.Equal((0, 1L), ((await Read(state)).For("a").Vitals.InFlight, (await Read(state)).For("a").Totals.Requests));
    }

    [Fact]
    public async Task CatchUpAsync_StoreBeganAnewMeanwhile_LeasesHeldAreTakenAgain()
    {
        var time = new ManualTime();
        var state = Instance(time);
        var pool = Pools.Of("round_robin", 1);
        var lease = await Acquire(state, pool);
        foreach (var key in new[] { "board", "cards", "leases", "notes", "totals", "names" })
        {
            await redis.Server.SendAsync("DEL", $"{_prefix}{{default}}:{key}");
        }

        Assert.Null(await state.CatchUpAsync(pool));
        Assert.Equal(1, (await Read(state)).For("a").Vitals.InFlight);
        await state.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.Succeeded));
        Assert.Equal((0, 1L), ((await Read(state)).For("a").Vitals.InFlight, (await Read(state)).For("a").Totals.Requests));
    }

    [Fact]
    public async Task AcquireAsync_AnyKey_ExpiresWithinADay()
    {
        var state = Instance(new ManualTime());
        var pool = Pools.Of("round_robin", 1);
        await state.ReleaseAsync((await Acquire(state, pool))!, new AttemptOutcome(OutcomeKind.ModelAbsent));
        foreach (var key in new[] { "board", "cards", "leases", "notes", "totals", "names" })
        {
            var reply = await redis.Server.SendAsync("TTL", $"{_prefix}{{default}}:{key}");
            Assert.True(key == "notes" || reply.StartsWith(":86", StringComparison.Ordinal), $"{key}: {reply}");
        }

        Assert.Null(await state.CatchUpAsync(pool));
        Assert.StartsWith(":86", await redis.Server.SendAsync("TTL", $"{_prefix}{{default}}:notes"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TakeProbeTurnAsync_ThreeInstances_OneProbesUntilThePoolChanges()
    {
        var time = new ManualTime();
        RedisState[] instances = [Instance(time), Instance(time), Instance(time)];
        var turns = await Task.WhenAll(instances.Select(instance => instance.TakeProbeTurnAsync(Pools.Of("round_robin", 1), TimeSpan.FromHours(1)).AsTask()));
        Assert.Single(turns, isMine => isMine);
        Assert.True(await instances[0].TakeProbeTurnAsync(Pools.Of("round_robin", 1, 1), TimeSpan.FromHours(1)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task AnyHistory_SameStepsInMemory_EveryChoiceAndNumberIsTheSame(ulong seed)
    {
        var chance = new Chance(seed);
        var time = new ManualTime();
        var memoryChance = new Chance(99);
        var memory = new InMemoryState(time, memoryChance);
        var (startedAt, startedAtMs) = (time.GetTimestamp(), time.GetUtcNow().ToUnixTimeMilliseconds());
        var shared = Instance(time, new Chance(99), () => startedAtMs + (long)time.GetElapsedTime(startedAt).TotalMilliseconds);

        // The shared store draws where its leases' numbers begin, and once more whenever it meets a pool.
        memoryChance.NextBits();
        memoryChance.NextBits();
        var pool = StateHistory.Definition(chance, 1);
        var held = new List<(Lease Shared, Lease Memory)>();
        for (var step = 0; step < 700; step++)
        {
            var where = $"seed {seed}, step {step}, {pool.Options.Strategy}";
            switch (chance.Next(12))
            {
                case < 6:
                    var request = StateHistory.Request(pool, chance);
                    var one = await shared.AcquireAsync(request, TestContext.Current.CancellationToken);
                    var other = await memory.AcquireAsync(request, TestContext.Current.CancellationToken);
                    Assert.True((one?.Index, one?.Epoch, one?.IsTrial) == (other?.Index, other?.Epoch, other?.IsTrial), $"{where}: {one?.Index} but {other?.Index} in memory");
                    if (one is not null)
                    {
                        held.Add((one, other!));
                    }

                    break;
                case < 10 when held.Count > 0:
                    var pair = held[chance.Next(held.Count)];
                    held.Remove(pair);
                    var outcome = StateHistory.Outcome(chance);
                    await shared.ReleaseAsync(pair.Shared, outcome);
                    await memory.ReleaseAsync(pair.Memory, outcome);
                    break;
                case 10:
                    time.Advance(TimeSpan.FromMilliseconds(chance.Next(4_000)));
                    break;
                case 11 when chance.Next(3) == 0:
                    var probe = StateHistory.Outcome(chance);
                    var index = chance.Next(pool.Backends.Length);
                    await shared.ReleaseAsync(Lease.ForProbe(pool, index), probe);
                    await memory.ReleaseAsync(Lease.ForProbe(pool, index), probe);
                    break;
                case 11 when chance.Next(12) == 0 && step > 0:
                    pool = StateHistory.Definition(chance, pool.Version + 1);
                    await shared.PrepareAsync(pool);
                    await memory.AcquireAsync(new AcquireRequest { Pool = pool, Only = 9 }, TestContext.Current.CancellationToken);
                    memoryChance.NextBits();
                    break;
            }

            StateHistory.Compare(await Read(shared), await Read(memory), pool, where);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var state in _states)
        {
            await state.DisposeAsync();
        }
    }

    private protected override ValueTask<IBalancerState> CreateAsync(ManualTime time) => new(Instance(time));

    private static ValueTask<Lease?> Acquire(RedisState state, Pool pool) =>
        state.AcquireAsync(new AcquireRequest { Pool = pool, Model = "m", SlowStartRoll = 0.5 }, TestContext.Current.CancellationToken);

    private static ValueTask<PoolSnapshot> Read(IBalancerState state) => state.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken);

    /// <summary>Lets time pass as it does in life: with every renewal answered before the next.</summary>
    private static async Task PassAsync(ManualTime time, RedisState state, Pool pool, TimeSpan span)
    {
        for (var step = TimeSpan.FromSeconds(5); span > TimeSpan.Zero; span -= step)
        {
            time.Advance(step);
            Assert.Null(await state.CatchUpAsync(pool));
        }
    }

    private RedisState Instance(ManualTime time, Chance? chance = null, Func<long>? clock = null)
    {
        var state = new RedisState(redis.Link, _prefix, time, chance ?? new Chance((ulong)_states.Count + 7), clock ?? (() => time.GetUtcNow().ToUnixTimeMilliseconds()));
        _states.Add(state);
        return state;
    }
}
