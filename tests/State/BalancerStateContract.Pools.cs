using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <content>What a change of the pool keeps and what it drops.</content>
public abstract partial class BalancerStateContract
{
    [Fact]
    public async Task AcquireAsync_PoolReplaced_LoadAndCircuitStayByName()
    {
        var before = Pools.Of(Pools.Backend("a") with { MaxConnections = 1 }, Pools.Backend("b"));
        await Break(before, only: 1);
        var lease = await Acquire(before, only: 0);
        var after = Next(before, Pools.Backend("new"), Pools.Backend("B"), Pools.Backend("a") with { MaxConnections = 1 });
        Assert.Null(await Acquire(after, only: 1));
        Assert.Null(await Acquire(after, only: 2));
        Assert.NotNull(await Acquire(after, only: 0));
        Assert.Null(await Acquire(before, only: 0));
        await Release(lease!, OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(after, only: 2));
    }

    [Fact]
    public async Task ReleaseAsync_BackendRemoved_IsForgottenWithItsLastRequest()
    {
        var before = Pools.Of(Pools.Backend("a"), Pools.Backend("b"));
        var lease = await Acquire(before, only: 1);
        var after = Next(before, Pools.Backend("a"));
        await Serve(after, OutcomeKind.Succeeded);
        Assert.Equal(1, (await Read()).For("b").Vitals.InFlight);
        await Release(lease!, OutcomeKind.Succeeded);
        Assert.DoesNotContain((await Read()).Backends, backend => backend.Name == "b");
    }

    [Fact]
    public async Task AcquireAsync_RemovedBackendComesBack_CountsTheRequestsItStillHas()
    {
        var first = Pools.Of(Pools.Backend("a"), Pools.Backend("b") with { MaxConnections = 2 });
        var lease = await Acquire(first, only: 1);
        var second = Next(first, Pools.Backend("a"));
        await Serve(second, OutcomeKind.Succeeded);
        await Acquire(first, only: 1);
        var third = Next(second, Pools.Backend("b") with { MaxConnections = 2 });
        Assert.Null(await Acquire(third));
        await Release(lease!, OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(third));
    }

    [Fact]
    public async Task AcquireAsync_OldRequestMeetsForgottenBackend_IsCountedWhenItComesBack()
    {
        var first = Pools.Of(Pools.Backend("a"), Pools.Backend("b") with { MaxConnections = 1 });
        await Serve(first, OutcomeKind.Succeeded);
        var second = Next(first, Pools.Backend("a"));
        await Serve(second, OutcomeKind.Succeeded);
        var lease = await Acquire(first, only: 1);
        var third = Next(second, Pools.Backend("b") with { MaxConnections = 1 });
        Assert.Null(await Acquire(third));
        await Release(lease!, OutcomeKind.Succeeded);
        Assert.NotNull(await Acquire(third));
    }

    [Fact]
    public async Task AcquireAsync_WeightsChanged_TheNewOnesHoldAtOnce()
    {
        var before = Pools.Of("weighted_round_robin", 100_000, 99_999);
        for (var i = 0; i < 3; i++)
        {
            await Serve(before, OutcomeKind.Succeeded);
        }

        var after = Next(before, Pools.Backend("a", 1), Pools.Backend("b", 1));
        var names = "";
        for (var i = 0; i < 6; i++)
        {
            names += await Serve(after, OutcomeKind.Succeeded);
        }

        Assert.Equal("ababab", names);
    }

    [Fact]
    public async Task ReadAsync_PoolNeverSeen_IsEmptyAndAnyNameIsFresh()
    {
        var snapshot = await Read();
        Assert.Empty(snapshot.Backends);
        Assert.Equal(("a", 0), (snapshot.For("a").Name, snapshot.For("a").Vitals.InFlight));
    }

    private static Pool Next(Pool before, params Backend[] backends) => new(before.Options with { Backends = [.. backends] }, before.Version + 1);
}
