using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.State;

/// <summary>
/// The store of one process: one lock around plain numbers, held for well under a microsecond and never while anything is awaited.
/// </summary>
/// <remarks>
/// Decisions are made on a monotonic clock that begins at the wall clock's time, so that its numbers look like a shared store's and no
/// adjustment of the wall clock parks or frees a backend.
/// </remarks>
internal sealed partial class InMemoryState : IBalancerState
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly Chance _chance;
    private readonly long _startedAt;
    private readonly long _startedAtUnixMs;
    private readonly Dictionary<string, Books> _pools = new(StringComparer.Ordinal);
    private Candidate[] _candidates = new Candidate[8];
    private long _lastLeaseId;

    public InMemoryState(TimeProvider time, Chance chance)
    {
        _time = time;
        _chance = chance;
        _startedAt = time.GetTimestamp();
        _startedAtUnixMs = time.GetUtcNow().ToUnixTimeMilliseconds();
    }

    /// <summary>Raised outside the lock, on the thread that released, so two changes of one backend may be reported in either order.</summary>
    public event Action<StateChange>? Changed;

    public ValueTask<Lease?> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken) => new(Acquire(request));

    /// <summary>As <see cref="AcquireAsync"/>, which waits for nothing here.</summary>
    public Lease? Acquire(in AcquireRequest request)
    {
        lock (_lock)
        {
            var books = BooksNeedsLock(request.Pool.Name);
            return TakeNeedsLock(books, books.ViewOf(request.Pool), request, NowMs());
        }
    }

    public ValueTask ReleaseAsync(Lease lease, AttemptOutcome outcome)
    {
        if (lease.TryReturn())
        {
            Settle(lease, outcome, holdsPlace: true);
        }

        return default;
    }

    public ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var books = _pools.GetValueOrDefault(pool);
            return new(new PoolSnapshot(pool, NowMs(), books?.Copy() ?? []) { Birth = books?.Birth ?? 0 });
        }
    }

    /// <summary>The counters of every backend, also of those that have left the pool.</summary>
    public PoolSnapshot ReadCounters(string pool)
    {
        lock (_lock)
        {
            return new PoolSnapshot(pool, NowMs(), _pools.TryGetValue(pool, out var books) ? [.. books.Counters()] : []);
        }
    }

    public ValueTask<PoolSnapshot> ReadVitalsAsync(Pool pool, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var view = BooksNeedsLock(pool.Name).ViewOf(pool);
            return new(new PoolSnapshot(pool.Name, NowMs(), [.. view.Entries.Select(entry => new BackendSnapshot(entry.Name, entry.Vitals.Copy()))]));
        }
    }

    /// <summary>Settles an outcome, whoever granted its lease.</summary>
    /// <param name="lease">Returned already.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="holdsPlace">Whether this store counts it as in flight.</param>
    /// <returns>The roll that stretched a cooldown.</returns>
    private double Settle(Lease lease, AttemptOutcome outcome, bool holdsPlace)
    {
        StateChange change;
        var roll = _chance.NextDouble();
        lock (_lock)
        {
            change = SettleNeedsLock(lease, outcome, holdsPlace, roll);
        }

        if (change.Kinds != Transitions.None)
        {
            Changed?.Invoke(change);
        }

        return roll;
    }

    private long NowMs() => _startedAtUnixMs + (long)_time.GetElapsedTime(_startedAt).TotalMilliseconds;

    private Books BooksNeedsLock(string pool)
    {
        if (!_pools.TryGetValue(pool, out var books))
        {
            _pools[pool] = books = new Books();
        }

        return books;
    }

    private StateChange SettleNeedsLock(Lease lease, AttemptOutcome outcome, bool holdsPlace, double roll)
    {
        var books = BooksNeedsLock(lease.Pool.Name);
        var nowMs = NowMs();
        var entry = books.ViewOf(lease.Pool).Entries[lease.Index];
        var vitals = entry.Vitals;
        if (lease.IsProbe)
        {
            entry.Totals.LastCheckAtUnixMs = _time.GetUtcNow().ToUnixTimeMilliseconds();
        }
        else
        {
            vitals.InFlight = Math.Max(0, vitals.InFlight - (holdsPlace ? 1 : 0));
            entry.Totals.Record(outcome);
        }

        if (OutcomeTable.For(outcome.Kind).Blame is not (Blame.None or Blame.Praise))
        {
            entry.Totals.RecordError(outcome, _time.GetUtcNow().ToUnixTimeMilliseconds());
        }

        var kinds = Circuit.Settle(vitals, lease, outcome, lease.Pool.Options, nowMs, roll);
        books.DropIfGone(entry);
        return kinds == Transitions.None ? default : new StateChange(
            lease.Pool.Name,
            entry.Name,
            kinds,
            outcome.Detail is { } detail ? $"{outcome.Kind}: {detail}" : outcome.Kind.ToString(),
            kinds.HasFlag(Transitions.ModelAbsent) ? lease.Model : null,
            TimeSpan.FromMilliseconds(vitals.Circuit == CircuitState.Closed ? 0 : Math.Max(0, vitals.OpenUntilMs - nowMs)),
            TimeSpan.FromMilliseconds(Math.Max(0, vitals.ParkedUntilMs - nowMs)));
    }
}
