using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>
/// One instance keeps the whole contract. What is looser between instances is stated here: others' load, circuits and parking are known after
/// one report of theirs and one refresh, no sooner.
/// </summary>
public sealed class RelaxedStateTests(SharedRedis redis) : BalancerStateContract, IAsyncDisposable
{
    private readonly List<RedisState> _shared = [];
    private readonly List<RelaxedState> _states = [];
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().AddSingleton<BalancerMetrics>().BuildServiceProvider();
    private readonly string _prefix = redis.NextPrefix();

    [Fact]
    public async Task AcquireAsync_NothingOfRedisNeeded_CompletesAtOnce()
    {
        var state = await InstanceAsync(new ManualTime());
        var pool = Pools.Of("least_connections", 1, 1, 1);
        for (var i = 0; i < 100; i++)
        {
            var taken = Acquire(state, pool).AsTask();
            Assert.True(taken.IsCompletedSuccessfully);
            Assert.True(state.ReleaseAsync((await taken)!, new AttemptOutcome(OutcomeKind.Succeeded)).AsTask().IsCompletedSuccessfully);
        }
    }

    [Fact]
    public async Task AcquireAsync_ThreeInstancesReportInTurn_KeepTheLimitAndExceedItByNoMoreThanTheOthersAdmitInBetween()
    {
        const int Limit = 12, Burst = 3;
        var time = new ManualTime();
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = Limit });
        RelaxedState[] instances = [await InstanceAsync(time), await InstanceAsync(time), await InstanceAsync(time)];
        var taken = 0;
        for (var round = 0; round < 6; round++)
        {
            foreach (var instance in instances)
            {
                for (var i = 0; i < Burst; i++)
                {
                    taken += await Acquire(instance, pool) is null ? 0 : 1;
                }
            }

            // Each reports; whoever reported before the last learns of it with the next report.
            foreach (var instance in instances.Concat(instances))
            {
                Assert.True(await instance.TurnAsync());
            }
        }

        Assert.InRange(taken, Limit, Limit + ((instances.Length - 1) * Burst));
        Assert.Equal(taken, (await Read(instances[0])).For("a").Vitals.InFlight);
        foreach (var instance in instances)
        {
            Assert.Null(await Acquire(instance, pool));
        }
    }

    [Fact]
    public async Task ReleaseAsync_FailuresAtThreeInstances_OpenTheCircuitForAllWithinARefreshAndOneTrialEach()
    {
        var time = new ManualTime();
        var pool = Pools.Of("round_robin", 1);
        RelaxedState[] instances = [await InstanceAsync(time), await InstanceAsync(time), await InstanceAsync(time)];
        var changes = new List<StateChange>();
        foreach (var instance in instances)
        {
            instance.Changed += changes.Add;
            await instance.ReleaseAsync((await Acquire(instance, pool))!, new AttemptOutcome(OutcomeKind.ServerError));
            Assert.True(await instance.TurnAsync());
        }

        foreach (var instance in instances)
        {
            Assert.True(await instance.TurnAsync());
            Assert.Null(await Acquire(instance, pool));
        }

        Assert.Equal([Transitions.Opened], changes.Select(change => change.Kinds));
        time.Advance(TimeSpan.FromSeconds(7));
        var trial = await Acquire(instances[0], pool);
        Assert.True(trial!.IsTrial);
        Assert.Null(await Acquire(instances[0], pool));
        Assert.True(await instances[0].TurnAsync());
        Assert.True(await instances[1].TurnAsync());
        Assert.Null(await Acquire(instances[1], pool));
        await instances[0].ReleaseAsync(trial, new AttemptOutcome(OutcomeKind.Succeeded));
        Assert.False((await Acquire(instances[0], pool))!.IsTrial);
        Assert.True(await instances[0].TurnAsync());
        Assert.True(await instances[1].TurnAsync());
        Assert.NotNull(await Acquire(instances[1], pool));
    }

    [Fact]
    public async Task ReleaseAsync_OwnFailures_ActAtOnceAndSurviveARefresh()
    {
        var time = new ManualTime();
        var pool = Pools.Of("round_robin", 1);
        var (here, there) = (await InstanceAsync(time), await InstanceAsync(time));
        await Acquire(there, pool);
        await there.TurnAsync();
        for (var i = 0; i < 3; i++)
        {
            await here.ReleaseAsync((await Acquire(here, pool))!, new AttemptOutcome(OutcomeKind.ServerError));
        }

        Assert.Null(await Acquire(here, pool));
        await here.TurnAsync();
        await here.TurnAsync();
        Assert.Null(await Acquire(here, pool));
    }

    [Fact]
    public async Task TurnAsync_InstanceDied_ItsLoadGoesWithin30Seconds()
    {
        var time = new ManualTime();
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = 100 });
        var (dead, living) = (await InstanceAsync(time), await InstanceAsync(time, new PoolSource(pool.Options)));
        for (var i = 0; i < 100; i++)
        {
            Assert.NotNull(await Acquire(dead, pool));
        }

        await dead.TurnAsync();
        await living.TurnAsync();
        Assert.Null(await Acquire(living, pool));
        time.Advance(TimeSpan.FromSeconds(24));
        await living.TurnAsync();
        Assert.Null(await Acquire(living, pool));
        time.Advance(TimeSpan.FromSeconds(1.1));
        await living.TurnAsync();
        Assert.NotNull(await Acquire(living, pool));

        // It only stood still: what it holds counts again.
        await dead.TurnAsync();
        Assert.Equal(101, (await Read(living)).For("a").Vitals.InFlight);
    }

    [Fact]
    public async Task ReportAsync_SentTwice_CountsOnce()
    {
        var time = new ManualTime();
        var pool = Pools.Of("round_robin", 1);
        var state = await InstanceAsync(time);
        var lease = await Acquire(state, pool);
        var report = new LoadReport(77, 1, [new((pool, 0), 2)], [new Decided(lease!, new AttemptOutcome(OutcomeKind.Succeeded), 0.5)]);
        for (var i = 0; i < 3; i++)
        {
            Assert.Null((await _shared[0].ReportAsync(pool, report)).Fault);
        }

        var known = (await _shared[0].ReadAsync(Pool.DefaultName, CancellationToken.None)).For("a");
        Assert.Equal((2, 1L), (known.Vitals.InFlight, known.Totals.Requests));
    }

    [Fact]
    public async Task ReleaseAsync_ManyMoreThanOneReportHolds_AllAreCounted()
    {
        var pool = Pools.Of("random", 1, 2, 3);
        var state = await InstanceAsync(new ManualTime());
        for (var i = 0; i < 1_500; i++)
        {
            await state.ReleaseAsync((await Acquire(state, pool))!, new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = i, InputTokens = 2 });
        }

        var known = (await Read(state)).Backends;
        Assert.Equal((1_500L, 3_000L, 0), (known.Sum(backend => backend.Totals.Successes), known.Sum(backend => backend.Totals.InputTokens), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task ReadAsync_RedisGoesAway_GoesOnFromWhatAllHadCounted()
    {
        await using var server = await RedisServer.StartAsync();
        await using var link = server.Link();
        Assert.Null(await link.ConnectAsync());
        var time = new ManualTime();
        var pool = Pools.Of("round_robin", 1);
        var (here, there) = (await InstanceAsync(time, link: link), await InstanceAsync(time, link: link));
        await ServeAsync(here, pool, 5);
        await ServeAsync(there, pool, 7);
        Assert.True(await there.TurnAsync());
        var shared = await Read(here);
        Assert.Equal(12, shared.For("a").Totals.Requests);

        await server.KillAsync();
        await Await.Until(() => !link.IsConnected, "Redis is away");
        Assert.False(await here.TurnAsync());
        await ServeAsync(here, pool, 3);

        var alone = await Read(here);
        Assert.Equal((15L, shared.Birth), (alone.For("a").Totals.Requests, alone.Birth));
    }

    [Theory]
    [InlineData("round_robin")]
    [InlineData("weighted_round_robin")]
    [InlineData("least_connections")]
    public async Task AcquireAsync_FortyInstancesBeginTogether_DoNotAllBeginWithTheSameBackend(string strategy)
    {
        var options = Pools.Of(strategy, 1, 1, 1, 1).Options;
        var firsts = new HashSet<string>();
        for (var i = 0; i < 40; i++)
        {
            var pools = new PoolSource(options);
            var state = await InstanceAsync(new ManualTime(), pools);
            firsts.Add((await Acquire(state, pools.Current))!.Backend.Name);
        }

        Assert.Equal(4, firsts.Count);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var state in _states)
        {
            state.Dispose();
        }

        foreach (var shared in _shared)
        {
            await shared.DisposeAsync();
        }

        await _services.DisposeAsync();
    }

    private protected override async ValueTask<IBalancerState> CreateAsync(ManualTime time) => await InstanceAsync(time);

    private static ValueTask<Lease?> Acquire(RelaxedState state, Pool pool) =>
        state.AcquireAsync(new AcquireRequest { Pool = pool, Model = "m", SlowStartRoll = 0.5 }, TestContext.Current.CancellationToken);

    private static async Task ServeAsync(RelaxedState state, Pool pool, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            await state.ReleaseAsync((await Acquire(state, pool))!, new AttemptOutcome(OutcomeKind.Succeeded));
        }
    }

    private static ValueTask<PoolSnapshot> Read(RelaxedState state) => state.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken);

    private async Task<RelaxedState> InstanceAsync(ManualTime time, PoolSource? pools = null, Roadbalancer.Redis.RedisLink? link = null)
    {
        var chance = new Chance((ulong)_states.Count + 7);
        var shared = new RedisState(link ?? redis.Link, _prefix, time, chance, () => time.GetUtcNow().ToUnixTimeMilliseconds());
        _shared.Add(shared);
        var state = new RelaxedState(
            shared, new InMemoryState(time, chance), pools ?? new PoolSource(new BalancerOptions()), _services.GetRequiredService<BalancerMetrics>(), time,
            NullLogger<RelaxedState>.Instance);
        _states.Add(state);
        Assert.True(await state.TurnAsync());
        return state;
    }
}
