using System.Collections.Frozen;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>What every store must do; a store's tests derive from this and say how it is made. Its clock is the test's.</summary>
public abstract partial class BalancerStateContract
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(5);

    private readonly ManualTime _time = new();
    private readonly Chance _chance = new(1);
    private IBalancerState? _state;

    /// <summary>A fresh store that takes its time from <paramref name="time"/>.</summary>
    private protected abstract ValueTask<IBalancerState> CreateAsync(ManualTime time);

    [Theory]
    [InlineData("round_robin", "1 1 1", "abcabca")]
    [InlineData("weighted_round_robin", "5 1 1", "aabacaa")]
    [InlineData("weighted_round_robin", "1 0 2", "cac")]
    [InlineData("least_connections", "1 1 1", "abcabc")]
    public async Task AcquireAsync_ExactStrategy_GivesTheExactSequence(string strategy, string weights, string expected)
    {
        var pool = Pools.Of(strategy, [.. weights.Split(' ').Select(weight => int.Parse(weight, null))]);
        var sequence = "";
        for (var i = 0; i < expected.Length; i++)
        {
            sequence += await Serve(pool, OutcomeKind.Succeeded);
        }

        Assert.Equal(expected, sequence);
    }

    [Fact]
    public async Task AcquireAsync_LeasesHeld_LeastConnectionsSpreadsThem()
    {
        var pool = Pools.Of("least_connections", 2, 1);
        var names = "";
        for (var i = 0; i < 9; i++)
        {
            names += (await Acquire(pool))!.Backend.Name;
        }

        Assert.Equal((6, 3), (names.Count(name => name == 'a'), names.Count(name => name == 'b')));
    }

    [Fact]
    public async Task AcquireAsync_AtTheLimit_NoneUntilOneIsReturned()
    {
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = 2 });
        var lease = await Acquire(pool);
        await Acquire(pool);
        Assert.Null(await Acquire(pool));
        Assert.Null(await Acquire(pool, panic: true));
        await Release(lease!, OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(pool));
    }

    [Fact]
    public async Task AcquireAsync_Priorities_WorseOnlyWhenNoBetterCanTakeIt()
    {
        var pool = Pools.Of(Pools.Backend("worse") with { Priority = 1 }, Pools.Backend("better") with { MaxConnections = 1 });
        var first = await Acquire(pool);
        Assert.Equal("better", first!.Backend.Name);
        Assert.Equal("worse", (await Acquire(pool))!.Backend.Name);
        await Release(first, OutcomeKind.Succeeded);
        Assert.Equal("better", (await Acquire(pool))!.Backend.Name);
    }

    [Fact]
    public async Task AcquireAsync_StandingObstacles_ArePassedOver()
    {
        var pool = Pools.Of(
            Pools.Backend("disabled") with { Enabled = false },
            Pools.Backend("drained", weight: 0),
            Pools.Backend("excluded"),
            Pools.Backend("other-model") with { Models = new Dictionary<string, string> { ["x"] = "x" }.ToFrozenDictionary() },
            Pools.Backend("fit") with { Models = new Dictionary<string, string> { ["m"] = "m" }.ToFrozenDictionary() });
        var excluded = default(BackendSet);
        excluded.Add(2);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("fit", (await Acquire(pool, excluded: excluded))!.Backend.Name);
            Assert.Contains((await Acquire(pool))!.Backend.Name, new[] { "excluded", "fit" });
        }

        Assert.Equal("excluded", (await Acquire(pool, only: 2))!.Backend.Name);
        Assert.Null(await Acquire(pool, only: 1));
    }

    [Fact]
    public async Task ReleaseAsync_ThreeFailures_OutUntilOneTrialPasses()
    {
        var pool = Pools.Of("round_robin", 1);
        await Break(pool);
        Assert.Null(await Acquire(pool));
        _time.Advance(TimeSpan.FromSeconds(6) + Moment);
        var trial = await Acquire(pool);
        Assert.True(trial!.IsTrial);
        Assert.Null(await Acquire(pool));
        await Release(trial, OutcomeKind.Succeeded);
        Assert.False((await Acquire(pool))!.IsTrial);
    }

    [Fact]
    public async Task ReleaseAsync_TrialFails_OutForLonger()
    {
        var pool = Pools.Of("round_robin", 1);
        await Break(pool);
        _time.Advance(TimeSpan.FromSeconds(6) + Moment);
        await Release((await Acquire(pool))!, OutcomeKind.ServerError);
        _time.Advance(TimeSpan.FromSeconds(8) - Moment);
        Assert.Null(await Acquire(pool));
        _time.Advance(TimeSpan.FromSeconds(4) + Moment + Moment);
        Assert.True((await Acquire(pool))!.IsTrial);
    }

    [Fact]
    public async Task ReleaseAsync_TrialsClientLeaves_NextRequestIsTheTrial()
    {
        var pool = Pools.Of("round_robin", 1);
        await Break(pool);
        _time.Advance(TimeSpan.FromSeconds(6) + Moment);
        await Release((await Acquire(pool))!, OutcomeKind.ClientLeft);
        Assert.True((await Acquire(pool))!.IsTrial);
    }

    [Fact]
    public async Task AcquireAsync_TrialNeverComesBack_AnotherMayTry()
    {
        var pool = Pools.Of("round_robin", 1);
        await Break(pool);
        _time.Advance(TimeSpan.FromSeconds(6) + Moment);
        var lost = await Acquire(pool);
        _time.Advance(pool.Backends[0].Timeout + Moment);
        var second = await Acquire(pool);
        Assert.True(second!.IsTrial);
        await Release(lost!, OutcomeKind.Succeeded);
        Assert.Null(await Acquire(pool));
        await Release(second, OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(pool));
    }

    [Fact]
    public async Task ReleaseAsync_RetryAfter_ParksUntilThen()
    {
        var pool = Pools.Of("round_robin", 1);
        await Release((await Acquire(pool))!, new AttemptOutcome(OutcomeKind.RateLimited) { RetryAfter = TimeSpan.FromSeconds(3) });
        Assert.Null(await Acquire(pool, panic: true));
        _time.Advance(TimeSpan.FromSeconds(3) - Moment);
        Assert.Null(await Acquire(pool));
        _time.Advance(Moment + Moment);
        Assert.NotNull(await Acquire(pool));
    }

    [Fact]
    public async Task ReleaseAsync_ModelAbsent_OtherModelsAreServed()
    {
        var pool = Pools.Of("round_robin", 1);
        await Release((await Acquire(pool, model: "gone"))!, OutcomeKind.ModelAbsent);
        Assert.Null(await Acquire(pool, model: "gone"));
        Assert.NotNull(await Acquire(pool, model: "here"));
        _time.Advance(TimeSpan.FromSeconds(60) + Moment);
        Assert.NotNull(await Acquire(pool, model: "gone"));
    }

    [Fact]
    public async Task ReleaseAsync_BadCredentials_OutUntilAProbePasses()
    {
        var pool = Pools.Of("round_robin", 1);
        await Release((await Acquire(pool))!, OutcomeKind.BadCredentials);
        Assert.Null(await Acquire(pool));
        await Release(Lease.ForProbe(pool, 0), OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(pool));
    }

    [Fact]
    public async Task ReleaseAsync_Probes_TakeOutAndBringBackWithoutCounting()
    {
        var pool = Pools.Of("round_robin", 1);
        for (var i = 0; i < 3; i++)
        {
            Assert.NotNull(await Acquire(pool));
            await Release(Lease.ForProbe(pool, 0), OutcomeKind.ConnectFailed);
        }

        Assert.Null(await Acquire(pool));
        await Release(Lease.ForProbe(pool, 0), OutcomeKind.Succeeded);
        var known = (await Read()).For("a");
        Assert.Equal((0L, 3, 0.0), (known.Totals.Requests, known.Vitals.InFlight, known.Vitals.LatencyMs));
        Assert.NotEqual(0, known.Totals.LastCheckAtUnixMs);
    }

    [Fact]
    public async Task AcquireAsync_Panic_OpenCircuitBeforeMisconfiguredEarliestFirst()
    {
        var pool = Pools.Of("round_robin", 1, 1, 1);
        await Release((await Acquire(pool, only: 0))!, OutcomeKind.BadCredentials);
        await Break(pool, only: 2);
        _time.Advance(TimeSpan.FromSeconds(3));
        await Break(pool, only: 1);
        Assert.Null(await Acquire(pool));
        var lease = await Acquire(pool, panic: true);
        Assert.Equal(("c", false), (lease!.Backend.Name, lease.IsTrial));
        var tried = default(BackendSet);
        tried.Add(2);
        Assert.Equal("b", (await Acquire(pool, panic: true, excluded: tried))!.Backend.Name);
        tried.Add(1);
        Assert.Equal("a", (await Acquire(pool, panic: true, excluded: tried))!.Backend.Name);
        await Release(lease, OutcomeKind.Succeeded);
        Assert.Equal("c", (await Acquire(pool))!.Backend.Name);
    }

    [Fact]
    public async Task AcquireAsync_SlowStart_ShareGrowsAndYieldsToOthersOnly()
    {
        var pool = Pools.Of("round_robin", 1, 1);
        await Break(pool, only: 0);
        await Release(Lease.ForProbe(pool, 0), OutcomeKind.Succeeded);
        _time.Advance(TimeSpan.FromSeconds(5));
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal("b", (await Acquire(pool, slowStartRoll: 0.6))!.Backend.Name);
        }

        Assert.Equal("a", (await Acquire(pool, slowStartRoll: 0.6, only: 0))!.Backend.Name);
        Assert.Equal("ab", string.Concat(new[] { (await Acquire(pool, slowStartRoll: 0.4))!.Backend.Name, (await Acquire(pool, slowStartRoll: 0.4))!.Backend.Name }.Order()));
    }

    [Fact]
    public async Task ReleaseAsync_Twice_CountsOnce()
    {
        var pool = Pools.Of("round_robin", 1);
        var lease = await Acquire(pool);
        await Acquire(pool);
        await Release(lease!, OutcomeKind.Succeeded);
        await Release(lease!, OutcomeKind.ServerError);
        var known = (await Read()).For("a");
        Assert.Equal((1, 1L, 0), (known.Vitals.InFlight, known.Totals.Requests, known.Vitals.ConsecutiveFailures));
    }

    [Fact]
    public async Task ReadAsync_AfterOutcomes_TellsWhatWasCounted()
    {
        var pool = Pools.Of("round_robin", 1);
        var told = new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 80, FirstTokenMs = 20, InputTokens = 7, OutputTokens = 5 };
        await Release((await Acquire(pool))!, told);
        await Release((await Acquire(pool))!, OutcomeKind.ClientLeft);
        Assert.Equal(1, (await Read()).For("a").Totals.SuccessRatio);
        await Release((await Acquire(pool))!, new AttemptOutcome(OutcomeKind.ServerError) { Detail = "status 500" });
        var totals = (await Read()).For("a").Totals;
        Assert.Equal((3L, 1L, 7L, 5L, 0.5), (totals.Requests, totals.Successes, totals.InputTokens, totals.OutputTokens, totals.SuccessRatio));
        Assert.Equal((1L, 1L), (totals.Duration.Count, totals.FirstToken.Count));
        Assert.Equal("ServerError: status 500", totals.LastError);
        Assert.Equal(_time.GetUtcNow().ToUnixTimeMilliseconds(), totals.LastErrorAtUnixMs);
    }

    [Fact]
    public async Task ReadAsync_Snapshot_DoesNotFollowTheStore()
    {
        var pool = Pools.Of("round_robin", 1);
        await Acquire(pool);
        var before = await Read();
        await Serve(pool, OutcomeKind.Succeeded);
        await Acquire(pool);
        Assert.Equal((1, 0L), (before.For("a").Vitals.InFlight, before.For("a").Totals.Requests));
    }

    private async ValueTask<IBalancerState> State() => _state ??= await CreateAsync(_time);

    private async ValueTask<Lease?> Acquire(
        Pool pool, string? model = "m", bool panic = false, int? only = null, BackendSet excluded = default, double slowStartRoll = 0.5) =>
        await (await State()).AcquireAsync(
            new AcquireRequest
            {
                Pool = pool,
                Model = model,
                Panic = panic,
                Only = only,
                Excluded = excluded,
                Roll1 = _chance.NextDouble(),
                Roll2 = _chance.NextDouble(),
                SlowStartRoll = slowStartRoll,
            },
            TestContext.Current.CancellationToken);

    private ValueTask Release(Lease lease, OutcomeKind kind) => Release(lease, new AttemptOutcome(kind) { DurationMs = 10 });

    private async ValueTask Release(Lease lease, AttemptOutcome outcome) => await (await State()).ReleaseAsync(lease, outcome);

    private async ValueTask<PoolSnapshot> Read() => await (await State()).ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken);

    private async ValueTask<string> Serve(Pool pool, OutcomeKind kind, int? only = null)
    {
        var lease = await Acquire(pool, only: only);
        await Release(lease!, kind);
        return lease!.Backend.Name;
    }

    private async ValueTask Break(Pool pool, int? only = null)
    {
        for (var i = 0; i < 3; i++)
        {
            await Serve(pool, OutcomeKind.ServerError, only);
        }
    }
}
