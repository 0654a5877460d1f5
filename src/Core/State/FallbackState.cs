using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;

namespace Roadbalancer.State;

/// <summary>
/// The shared store while it serves, this process's memory while it does not; alone knows that Redis can fail. Memory takes over at the
/// first call that fails, or the third in a row that takes too long, with the last that was known, and serves that very request. What is counted meanwhile is brought in afterwards.
/// </summary>
/// <remarks>
/// An outcome is counted once: of a lease of the shared store, it is kept and sent when Redis answers; of a lease of memory, it is added up and
/// merged; of a lease of memory that outlives the outage, the shared store takes a place at the return and settles it like its own.
/// </remarks>
internal sealed partial class FallbackState : BackgroundService, IBalancerState
{
    /// <summary>How often the last known is renewed; memory may take over with knowledge of this age.</summary>
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(1);

    /// <summary>How often a Redis that does not serve is tried.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(250);

    /// <summary>Calls in a row without an answer in time after which memory takes over. Any other failure is none of time, and one is enough.</summary>
    private const int MostTimeouts = 3;

    private readonly RedisState _shared;
    private readonly InMemoryState _memory;
    private readonly PoolSource _pools;
    private readonly BalancerMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<FallbackState> _log;
    private readonly Lock _lock = new();
    private readonly Dictionary<Lease, Lease?> _local = [];
    private readonly Queue<CountedAlone> _unmerged = new();
    private Dictionary<string, BackendTotals> _counted = new(StringComparer.OrdinalIgnoreCase);
    private (PoolSnapshot Snapshot, long AheadMs)? _known;
    private volatile bool _fallen = true;
    private volatile bool _hasReturned;
    private bool _hasServed;
    private volatile int _timeouts;

    /// <param name="shared">Used while it answers.</param>
    /// <param name="memory">Used while it does not.</param>
    /// <param name="pools">The pool in force.</param>
    /// <param name="metrics">Told of the transitions.</param>
    /// <param name="time">Paces refreshing and retrying.</param>
    /// <param name="log">Told of the transitions, once each.</param>
    public FallbackState(
        RedisState shared, InMemoryState memory, PoolSource pools, BalancerMetrics metrics, TimeProvider time, ILogger<FallbackState> log)
    {
        (_shared, _memory, _pools, _metrics, _time, _log) = (shared, memory, pools, metrics, time, log);
        shared.Changed += change => Changed?.Invoke(change);
        memory.Changed += change => Changed?.Invoke(change);
        metrics.StateServedFromMemory(true);
    }

    /// <summary>As <see cref="InMemoryState.Changed"/>, from whichever store decided.</summary>
    public event Action<StateChange>? Changed;

    /// <summary>True while decisions are made from memory, and until what was counted there has been brought in.</summary>
    public bool IsFallenBack => !_hasReturned;

    public async ValueTask<Lease?> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken)
    {
        if (!_fallen)
        {
            try
            {
                var lease = await _shared.AcquireAsync(request, cancellationToken);
                _timeouts = 0;
                return lease;
            }
            catch (SharedStateException exception)
            {
                Fail(exception);
            }
        }

        return AcquireAlone(request);
    }

    public async ValueTask ReleaseAsync(Lease lease, AttemptOutcome outcome)
    {
        if (!lease.TryReturn())
        {
            return;
        }

        if (TakeBackAlone(lease, outcome) is not { } settled)
        {
            return;
        }

        try
        {
            await _shared.SettleAsync(settled, outcome);
            _timeouts = 0;
        }
        catch (SharedStateException exception)
        {
            // The shared store keeps the outcome and sends it when it can; memory learns of it without counting a place.
            Fail(exception);
            _memory.Apply(lease, outcome, holdsPlace: false);
        }
    }

    public async ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken)
    {
        if (!_fallen)
        {
            try
            {
                return Remember(await _shared.ReadAsync(pool, cancellationToken));
            }
            catch (SharedStateException exception)
            {
                Fail(exception);
            }
        }

        return await _memory.ReadAsync(pool, cancellationToken);
    }

    public async ValueTask<PoolSnapshot> ReadVitalsAsync(Pool pool, CancellationToken cancellationToken)
    {
        if (!_fallen)
        {
            try
            {
                return await _shared.ReadVitalsAsync(pool, cancellationToken);
            }
            catch (SharedStateException exception)
            {
                Fail(exception);
            }
        }

        return await _memory.ReadVitalsAsync(pool, cancellationToken);
    }

    /// <summary>One try to decide together with the others again, or one renewal of what is known of them.</summary>
    internal async ValueTask TurnAsync()
    {
        var pool = _pools.Current;
        try
        {
            if (!_fallen)
            {
                await _shared.PrepareAsync(pool);
                if (_shared.IsBehind && await _shared.CatchUpAsync(pool) is { } fault)
                {
                    Fall(fault);
                    return;
                }

                await RememberAsync(pool);
                _timeouts = 0;
            }
            else if (await _shared.CatchUpAsync(pool) is null)
            {
                await ReturnAsync(pool);
            }
        }
        catch (SharedStateException exception)
        {
            Fail(exception);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await TurnAsync();
                await Task.Delay(_fallen ? Retry : Refresh, _time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                // The program ends.
            }
            catch (Exception exception)
            {
                // Whatever it is, it must not be the end of all returning.
                LogReturnFailed(exception);
                await Task.Delay(Refresh, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>In one step: what memory is given anew in between would not know of the place.</summary>
    private Lease? AcquireAlone(in AcquireRequest request)
    {
        lock (_lock)
        {
            var lease = _memory.Acquire(request);
            if (lease is not null)
            {
                _local[lease] = _fallen ? null : Adopt(lease);
            }

            return lease;
        }
    }

    /// <summary>Settles in memory what memory is to settle; the lease as the shared store knows it when it is for that one.</summary>
    private Lease? TakeBackAlone(Lease lease, AttemptOutcome outcome)
    {
        lock (_lock)
        {
            var isLocal = _local.Remove(lease, out var adopted);
            var shared = isLocal ? adopted : lease;
            if (!_fallen)
            {
                return shared;
            }

            if (shared is null)
            {
                Count(lease, outcome);
            }
            else
            {
                _shared.SettleLater(shared, outcome);
            }
        }

        _memory.Apply(lease, outcome, holdsPlace: true);
        return null;
    }

    private void Count(Lease lease, AttemptOutcome outcome)
    {
        if (!_counted.TryGetValue(lease.Backend.Name, out var totals))
        {
            _counted[lease.Backend.Name] = totals = new BackendTotals();
        }

        totals.Record(outcome);
    }

    /// <summary>The lease under which the shared store counts a place that memory granted. Its epoch is no circuit's: what began apart does not move it.</summary>
    private Lease Adopt(Lease lease)
    {
        var adopted = new Lease(lease.Pool, lease.Index, _shared.ReserveLeaseId(), epoch: -1, isTrial: false) { Model = lease.Model, IsShared = true };
        _shared.Adopt(adopted);
        return adopted;
    }
}
