using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

public sealed class PoolSyncTests(SharedRedis redis) : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _states = [];
    private readonly List<PoolSync> _syncs = [];
    private readonly string _prefix = redis.NextPrefix();

    [Fact]
    public async Task ChangeAsync_AddedDisabledReweighted_IsInForceAtTheOther()
    {
        var (here, there) = (await StartAsync(), await StartAsync());
        var added = Pools.Backend("c", 7) with { ApiKey = "secret", Tags = System.Collections.Frozen.FrozenSet.Create("fast"), Timeout = TimeSpan.FromSeconds(9) };
        Assert.True(await ChangeAsync(here, edits => edits.With(added).With(Pools.Backend("a") with { Enabled = false })));
        await Await.Until(() => there.Pools.Current.IndexOf("c") == 2, "the other knows");
        var met = there.Pools.Current.Backends[2];
        Assert.Equal((7, "secret", 9.0, true), (met.Weight, met.ApiKey, met.Timeout.TotalSeconds, met.Tags.Contains("fast")));
        Assert.False(there.Pools.Current.Backends[0].Enabled);
        Assert.True(await ChangeAsync(there, edits => edits.Without("b")));
        await Await.Until(() => here.Pools.Current.IndexOf("b") < 0, "the first knows");
    }

    [Fact]
    public async Task ChangeAsync_BothAtOnce_BothAreInForceAtBoth()
    {
        var (here, there) = (await StartAsync(), await StartAsync());
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => ChangeAsync(i % 2 == 0 ? here : there, edits => edits.With(Pools.Backend($"n{i}")))));
        await Await.Until(() => here.Pools.Current.Backends.Length == 10 && there.Pools.Current.Backends.Length == 10, "all eight are known to both");
    }

    [Fact]
    public async Task MeetAsync_StoreLostTheVersion_WhoHoldsItGivesItBack()
    {
        var here = await StartAsync();
        await ChangeAsync(here, edits => edits.With(Pools.Backend("c")));
        await redis.Server.SendAsync("DEL", $"{_prefix}{{default}}:changes");
        Assert.Null(await here.Sync.MeetAsync(TestContext.Current.CancellationToken));
        var there = await StartAsync();
        await Await.Until(() => there.Pools.Current.IndexOf("c") == 2, "a new instance learns of it");
    }

    [Fact]
    public async Task MeetAsync_ChangedApartUnderOneVersion_AllKeepTheSameChanges()
    {
        (PoolSource Pools, PoolSync Sync)[] instances = [await StartAsync(new ManualTime()), await StartAsync(new ManualTime()), await StartAsync(new ManualTime())];
        string[] names = ["c", "e", "d"];
        for (var i = 0; i < instances.Length; i++)
        {
            // As after a time without Redis: each has a first change of its own.
            instances[i].Pools.Edit(PoolEdits.None.With(Pools.Backend(names[i])) with { Version = 1 });
        }

        for (var round = 0; round < 3; round++)
        {
            foreach (var (_, sync) in instances)
            {
                Assert.Null(await sync.MeetAsync(TestContext.Current.CancellationToken));
            }
        }

        Assert.All(instances, instance => Assert.Equal(["a", "b", "e"], instance.Pools.Current.Backends.Select(backend => backend.Name)));
        Assert.Single(instances.Select(instance => instance.Pools.Edits.Version).Distinct());
    }

    [Fact]
    public async Task AcquireAsync_MessageOfAChangeIsLost_TheVersionInTheReplyTells()
    {
        var time = new ManualTime();
        var there = await StartAsync(time);
        var state = (RedisState)_states[^1];
        await state.PrepareAsync(there.Pools.Current);
        await WriteSilentlyAsync(PoolEdits.None.With(Pools.Backend("c")) with { Version = 1 }, onBoard: true);
        await state.AcquireAsync(new AcquireRequest { Pool = there.Pools.Current }, TestContext.Current.CancellationToken);
        await Await.Until(() => there.Pools.Current.IndexOf("c") == 2, "the other knows");
    }

    [Fact]
    public async Task ExecuteAsync_MessageOfAChangeIsLostAndNobodyAsks_LooksAfterASecond()
    {
        var time = new ManualTime();
        var there = await StartAsync(time);
        await WriteSilentlyAsync(PoolEdits.None.With(Pools.Backend("c")) with { Version = 1 }, onBoard: false);
        await Await.Until(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                return there.Pools.Current.IndexOf("c") == 2;
            },
            "the other knows");
    }

    [Fact]
    public async Task ChangeAsync_Alone_IsInForceAndOutlivesANewConfiguration()
    {
        var pools = new PoolSource(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")] });
        using var sync = new PoolSync(pools, TimeProvider.System, NullLogger<PoolSync>.Instance);
        Assert.True((await sync.ChangeAsync(edits => edits.Without("a").With(Pools.Backend("c")), TestContext.Current.CancellationToken)).IsShared);
        pools.Swap(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("d")] });
        Assert.Equal(["d", "c"], pools.Current.Backends.Select(backend => backend.Name));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var sync in _syncs)
        {
            await sync.StopAsync(CancellationToken.None);
            sync.Dispose();
        }

        foreach (var state in _states)
        {
            await state.DisposeAsync();
        }
    }

    private static async Task<bool> ChangeAsync((PoolSource Pools, PoolSync Sync) instance, Func<PoolEdits, PoolEdits> change) =>
        (await instance.Sync.ChangeAsync(change, TestContext.Current.CancellationToken)).IsShared;

    /// <summary>A change whose message nobody hears.</summary>
    private async Task WriteSilentlyAsync(PoolEdits edits, bool onBoard)
    {
        await redis.Server.SendAsync("HSET", $"{_prefix}{{default}}:changes", "v", $"{edits.Version}", "d", edits.ToJson());
        if (onBoard)
        {
            await redis.Server.SendAsync("EVAL", "redis.call('SETRANGE', KEYS[1], 24, struct.pack('<d', ARGV[1]))", "1", $"{_prefix}{{default}}:board", $"{edits.Version}");
        }
    }

    private async Task<(PoolSource Pools, PoolSync Sync)> StartAsync(TimeProvider? time = null)
    {
        var pools = new PoolSource(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")] });
        var state = new RedisState(redis.Link, _prefix, TimeProvider.System, new Chance((ulong)_states.Count + 1));
        var sync = new PoolSync(pools, time ?? TimeProvider.System, NullLogger<PoolSync>.Instance, state);
        _states.Add(state);
        _syncs.Add(sync);
        await sync.StartAsync(TestContext.Current.CancellationToken);
        return (pools, sync);
    }
}
