using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Stats;

namespace Roadbalancer.Telemetry;

/// <summary>
/// How each backend stands, as the store that decides sees it: with Redis that is the whole fleet, and every instance tells the same. Read at most
/// once a second, however often it is asked for.
/// </summary>
internal sealed class BackendGauges
{
    private static readonly TimeSpan Age = TimeSpan.FromSeconds(1);
    private static readonly string[] CircuitNames = [.. Enum.GetNames<CircuitState>().Select(Trail.SnakeCase)];

    private readonly PoolSource _pools;
    private readonly IBalancerState _state;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private Stand? _stand;
    private Task<Stand>? _renewal;

    /// <param name="metrics">Where the gauges are told.</param>
    /// <param name="pools">The pool in force.</param>
    /// <param name="state">Read for how backends stand.</param>
    /// <param name="queue">Asked for its length.</param>
    /// <param name="time">Says how old a reading is.</param>
    public BackendGauges(BalancerMetrics metrics, PoolSource pools, IBalancerState state, WaitQueue queue, TimeProvider time)
    {
        (_pools, _state, _time) = (pools, state, time);
        var all = metrics.All;
        Add("roadbalancer.backend.in_flight", "{request}", "Requests that hold a place at the backend.", (_, vitals, _) => vitals.InFlight);
        Add("roadbalancer.backend.limit", "{request}", "Requests that the backend takes at once: max_connections.", (backend, _, _) => backend.MaxConnections);
        Add("roadbalancer.backend.weight", "{share}", "The backend's weight; 0 is drained.", (backend, _, _) => backend.Weight);
        all.Gauge("roadbalancer.backend.healthy", "{backend}", "1 for a backend that is well, be it busy, parked or drained; 0 for one that is out or on trial, disabled or misconfigured.",
            () => Each((stand, index, backend) => [new Reading(StatsReport.IsHealthy(stand.Obstacles[index], stand.Snapshots[index].Vitals) ? 1 : 0, backend.Name)]), "backend");
        all.Gauge("roadbalancer.backend.circuit", "{backend}", "1 for the state that the backend's circuit is in, 0 for the others.",
            () => Each((stand, index, backend) => CircuitNames.Select((name, state) =>
                new Reading((int)stand.Snapshots[index].Vitals.Circuit == state ? 1 : 0, backend.Name, name))), "backend", "state");
        Add("roadbalancer.backend.cooldown", "s", "How long the backend stays out for its failures; 0 when it is not.",
            (_, vitals, nowMs) => vitals.Circuit == CircuitState.Open ? Left(vitals.OpenUntilMs, nowMs) : 0);
        Add("roadbalancer.backend.parked", "s", "How long the backend is left alone because it asked for it; 0 when it is not.", (_, vitals, nowMs) => Left(vitals.ParkedUntilMs, nowMs));
        Add("roadbalancer.backend.consecutive_failures", "{failure}", "Failures since the last success.", (_, vitals, _) => vitals.ConsecutiveFailures);
        all.Counter("roadbalancer.backend.trips", "{trip}", "How often the backend's circuit has opened.",
            () => Each((stand, index, backend) => [new Reading(stand.Snapshots[index].Vitals.Trips, backend.Name)]), "backend");
        all.Gauge("roadbalancer.queue.length", "{request}", "Requests that wait for a place at this instance.", () => [new Reading(queue.Waiting)]);

        void Add(string name, string unit, string description, Func<Backend, Vitals, long, double> read) =>
            all.Gauge(name, unit, description,
                () => Each((stand, index, backend) => [new Reading(read(backend, stand.Snapshots[index].Vitals, stand.NowMs), backend.Name)]), "backend");
    }

    /// <summary>Reads the store, unless that was done less than a second ago or is being done.</summary>
    public async Task RenewAsync(CancellationToken cancellationToken) => await CurrentAsync().WaitAsync(cancellationToken);

    private static double Left(long untilMs, long nowMs) => Math.Max(0, untilMs - nowMs) / 1000.0;

    /// <summary>
    /// What listeners get. They cannot wait: from a store in memory they get the present, from Redis what was there when they, or anyone, last asked.
    /// </summary>
    private IEnumerable<Reading> Each(Func<Stand, int, Backend, IEnumerable<Reading>> read)
    {
        _ = CurrentAsync();
        return Volatile.Read(ref _stand) is { } stand ? stand.Pool.Backends.SelectMany((backend, index) => read(stand, index, backend)) : [];
    }

    private Task<Stand> CurrentAsync()
    {
        lock (_lock)
        {
            if (_renewal is { IsCompleted: false })
            {
                return _renewal;
            }

            if (_stand is { } stand && ReferenceEquals(stand.Pool, _pools.Current) && _time.GetElapsedTime(stand.ReadAt) < Age)
            {
                return Task.FromResult(stand);
            }

            return _renewal = ReadAsync();
        }
    }

    private async Task<Stand> ReadAsync()
    {
        var pool = _pools.Current;
        var readAt = _time.GetTimestamp();
        var snapshot = await _state.ReadAsync(pool.Name, CancellationToken.None);
        var stand = new Stand(
            pool, readAt, snapshot.NowMs, [.. pool.Backends.Select((backend, index) => snapshot.For(backend.Name, index))],
            Eligibility.Explain(new AcquireRequest { Pool = pool }, snapshot));
        Volatile.Write(ref _stand, stand);
        return stand;
    }

    /// <summary>One reading of the store, by the pool's backends.</summary>
    private sealed record Stand(Pool Pool, long ReadAt, long NowMs, BackendSnapshot[] Snapshots, Obstacle[] Obstacles);
}
