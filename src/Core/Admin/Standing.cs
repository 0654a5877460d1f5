using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Ledger;
using Roadbalancer.State;
using Roadbalancer.Stats;

namespace Roadbalancer.Admin;

/// <summary>What is known at one moment: the pool in force and what the store counted of it.</summary>
internal sealed record Standing(Pool Pool, PoolSnapshot Snapshot)
{
    /// <summary>Which backends can take a request now, in the pool's order.</summary>
    public bool IsAvailable(int index) => Obstacles[index] is Obstacle.None or Obstacle.SlowStart;

    public BackendSnapshot Of(int index) => Snapshot.For(Pool.Backends[index].Name, index);

    /// <summary>One of <c>healthy</c>, <c>unhealthy</c>, <c>trial</c>, <c>parked</c>, <c>misconfigured</c>, <c>disabled</c>.</summary>
    public string StatusOf(int index) => StatsReport.StatusOf(Condition(index), Of(index).Vitals);

    public bool IsHealthy(int index) => StatsReport.IsHealthy(Condition(index), Of(index).Vitals);

    public int Healthy => Enumerable.Range(0, Pool.Backends.Length).Count(IsHealthy);

    public int InFlight => Snapshot.Backends.Sum(backend => backend.Vitals.InFlight);

    private Obstacle[] Obstacles => field ??= Eligibility.Explain(new AcquireRequest { Pool = Pool }, Snapshot);

    private Obstacle Condition(int index) => StatsReport.ConditionOf(Pool, index, Of(index).Vitals, Snapshot.NowMs);
}

/// <summary>The one place where the management API reads what has been counted.</summary>
internal sealed class StandingReader(PoolSource pools, LifetimeTotals totals)
{
    public PoolSource Pools => pools;

    public async ValueTask<Standing> ReadAsync(CancellationToken cancellationToken)
    {
        var pool = pools.Current;
        return new(pool, await totals.ReadAsync(pool.Name, cancellationToken));
    }
}
