using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

public sealed class InMemoryStateTests : BalancerStateContract
{
    [Fact]
    public async Task ReleaseAsync_StandingChanges_IsReportedOnce()
    {
        var state = new InMemoryState(new ManualTime(), new Chance(1));
        var changes = new List<StateChange>();
        state.Changed += changes.Add;
        var pool = Pools.Of("round_robin", 1);
        for (var i = 0; i < 4; i++)
        {
            var lease = await state.AcquireAsync(new AcquireRequest { Pool = pool, Panic = true }, TestContext.Current.CancellationToken);
            await state.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.ConnectFailed) { Detail = "refused" });
        }

        await state.ReleaseAsync(Lease.ForProbe(pool, 0), new AttemptOutcome(OutcomeKind.Succeeded));
        Assert.Equal([Transitions.Opened, Transitions.Closed], changes.Select(change => change.Kinds));
        Assert.Equal(("a", "ConnectFailed: refused"), (changes[0].Backend, changes[0].Cause));
        Assert.InRange(changes[0].OpenFor.TotalSeconds, 4, 6);
        Assert.Equal(TimeSpan.Zero, changes[1].OpenFor);
    }

    [Fact]
    public async Task AcquireAndRelease_SteadyState_AllocateTheLeaseOnly()
    {
        var state = new InMemoryState(new ManualTime(), new Chance(1));
        var pool = Pools.Of("least_connections", [.. Enumerable.Repeat(1, 26)]);
        var request = new AcquireRequest { Pool = pool, Model = "m" };
        var outcome = new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 3 };
        await Turn();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            var turn = Turn();
            Assert.True(turn.IsCompletedSuccessfully);
        }

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 1_000.0, 1, 72);

        ValueTask Turn()
        {
            var taken = state.AcquireAsync(request, TestContext.Current.CancellationToken);
            return state.ReleaseAsync(taken.GetAwaiter().GetResult()!, outcome);
        }
    }

    private protected override ValueTask<IBalancerState> CreateAsync(ManualTime time) => new(new InMemoryState(time, new Chance(1)));
}
