using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using Roadbalancer.Strategies;

namespace Roadbalancer.State;

/// <summary>
/// <c>consistency: relaxed</c>: this process's memory decides, with no round trip, and every 100 ms one call tells the shared store what was
/// decided and brings what the others did. While the store does not answer, memory goes on with what it knows.
/// </summary>
/// <remarks>
/// <para>Own outcomes act at once, others' with the next refresh: memory is what the store knew then, with what was decided here since settled
/// upon it. Each instance respects limits against the load that the others last reported, so that n instances exceed <c>max_connections</c> by at
/// most what n − 1 of them admit in one refresh (100 ms and the call's own time); the same holds for requests to a backend whose circuit another
/// instance opened. A half-open circuit gets one trial from each instance that finds it so within one refresh.</para>
/// <para>Load is reported as it stands and events with the report's number, so that a report may be sent twice, and what an instance that died had
/// reported goes with its lease. What it had counted since its last report is lost.</para>
/// </remarks>
internal sealed partial class RelaxedState : BackgroundService, IBalancerState
{
    /// <summary>How old the knowledge of the others may be.</summary>
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(100);

    /// <summary>How often a Redis that does not serve is tried.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    /// <summary>How old the totals may be that statistics go on from when the store goes away.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(1);

    /// <summary>Events of one report; more go into several.</summary>
    private const int ReportedAtOnce = 256;

    private readonly RedisState _shared;
    private readonly InMemoryState _memory;
    private readonly PoolSource _pools;
    private readonly BalancerMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<RelaxedState> _log;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _turning = new(1, 1);
    private readonly Queue<LoadReport> _unanswered = new();
    private readonly Queue<CountedAlone> _unmerged = new();
    private readonly long _holder;
    private List<Decided> _decided = [];
    private Dictionary<string, BackendTotals> _counted = new(StringComparer.OrdinalIgnoreCase);
    private PoolSnapshot? _known;
    private long _knownAt;
    private long _reports;
    private volatile bool _isAlone = true;
    private volatile bool _hasReturned;

    /// <param name="shared">Told and asked while it answers.</param>
    /// <param name="memory">Decides.</param>
    /// <param name="pools">The pool in force.</param>
    /// <param name="metrics">Told of the transitions.</param>
    /// <param name="time">Paces refreshing and retrying.</param>
    /// <param name="log">Told of the transitions, once each.</param>
    public RelaxedState(
        RedisState shared, InMemoryState memory, PoolSource pools, BalancerMetrics metrics, TimeProvider time, ILogger<RelaxedState> log)
    {
        (_shared, _memory, _pools, _metrics, _time, _log) = (shared, memory, pools, metrics, time, log);
        _holder = shared.ReserveLeaseId();
        shared.Changed += change => Changed?.Invoke(change);
        memory.Changed += change =>
        {
            // The store says it once for all instances; alone, this one does.
            if (_isAlone)
            {
                Changed?.Invoke(change);
            }
        };
        memory.Scatter(pools.Current);
        metrics.StateServedFromMemory(true);
    }

    /// <summary>As <see cref="InMemoryState.Changed"/>: from the store with the report of the outcome, from memory while there is no store.</summary>
    public event Action<StateChange>? Changed;

    /// <summary>True while nothing is known of the other instances, and until what was counted meanwhile has been brought in.</summary>
    public bool IsFallenBack => !_hasReturned;

    public async ValueTask<Lease?> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken)
    {
        var lease = await _memory.AcquireAsync(request, cancellationToken);
        if (lease is { IsTrial: true })
        {
            Note(new Decided(lease, null, 0));
        }

        return lease;
    }

    public ValueTask ReleaseAsync(Lease lease, AttemptOutcome outcome)
    {
        if (lease.TryReturn())
        {
            Note(new Decided(lease, outcome, _memory.Apply(lease, outcome, holdsPlace: true)));
        }

        return default;
    }

    /// <summary>What all instances counted: reports first what this one has to.</summary>
    public async ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken)
    {
        if (!_isAlone && await TurnAsync())
        {
            try
            {
                return _known = await _shared.ReadAsync(pool, cancellationToken);
            }
            catch (SharedStateException exception)
            {
                Fall(exception.Message);
            }
        }

        return await _memory.ReadAsync(pool, cancellationToken);
    }

    public ValueTask<PoolSnapshot> ReadVitalsAsync(Pool pool, CancellationToken cancellationToken) => _memory.ReadVitalsAsync(pool, cancellationToken);

    /// <summary>Reports and learns, or tries to after a time alone; false when the store did not answer.</summary>
    internal async ValueTask<bool> TurnAsync()
    {
        await _turning.WaitAsync();
        try
        {
            var pool = _memory.Here(_pools.Current.Name).Pool ?? _pools.Current;
            if (pool.Backends.IsEmpty)
            {
                // Nothing to report of, and nothing to be alone with.
                _isAlone = false;
                return true;
            }

            if (_isAlone && await ReturnAsync(pool) is { } notYet)
            {
                Fall(notYet);
                return false;
            }

            if ((await SendAsync(pool) ?? await RememberAsync(pool)) is { } fault)
            {
                Fall(fault);
                return false;
            }

            Share();
            return true;
        }
        finally
        {
            _turning.Release();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(await TurnAsync() ? Refresh : Retry, _time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                // The program ends: what was counted since the last report still goes out.
                await TurnAsync();
            }
            catch (Exception exception)
            {
                LogReportFailed(exception);
                await Task.Delay(Retry, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Note(in Decided decided)
    {
        lock (_lock)
        {
            if (!_isAlone)
            {
                _decided.Add(decided);
            }
            else if (decided.Outcome is { } outcome && !decided.Lease.IsProbe)
            {
                Count(decided.Lease.Backend.Name, outcome);
            }
        }
    }

    private void Count(string backend, AttemptOutcome outcome)
    {
        if (!_counted.TryGetValue(backend, out var totals))
        {
            _counted[backend] = totals = new BackendTotals();
        }

        totals.Record(outcome);
    }
}
