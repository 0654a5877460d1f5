using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;

namespace Roadbalancer.State;

/// <content>Standing in for a shared store.</content>
internal sealed partial class InMemoryState
{
    /// <summary>Picks that <see cref="Scatter"/> makes at most: beyond it nothing becomes more random.</summary>
    private const int LongestScatter = 1_024;

    /// <summary>The store's clock, in Unix milliseconds.</summary>
    public long Clock => NowMs();

    /// <summary>Forgets all of the pool and begins with what another store knew of it.</summary>
    /// <param name="pool">The pool in force.</param>
    /// <param name="known">What the other store knew.</param>
    /// <param name="aheadMs">How far this store's clock is ahead of the one that <paramref name="known"/> is on.</param>
    /// <param name="inFlight">Requests of this process by the backend's name: those of others cannot be seen to end.</param>
    public void Seed(Pool pool, PoolSnapshot known, long aheadMs, IReadOnlyDictionary<string, int> inFlight)
    {
        lock (_lock)
        {
            var turn = _pools.TryGetValue(pool.Name, out var before) ? before.Turn : _chance.Next(1_000);
            var books = new Books { Turn = turn, Birth = known.Birth };
            foreach (var backend in known.Backends)
            {
                var vitals = backend.Vitals.Copy();
                vitals.InFlight = inFlight.GetValueOrDefault(backend.Name);
                Shift(vitals, aheadMs);
                books.Put(backend.Name, vitals, backend.Totals.Copy());
            }

            foreach (var (name, count) in inFlight)
            {
                if (!known.Backends.Any(backend => string.Equals(backend.Name, name, StringComparison.OrdinalIgnoreCase)))
                {
                    books.Put(name, new Vitals { InFlight = count }, new());
                }
            }

            books.ViewOf(pool);
            _pools[pool.Name] = books;
        }
    }

    /// <summary>Settles an outcome whose lease is returned already, whoever granted it.</summary>
    /// <param name="lease">Whose outcome it is.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="holdsPlace">Whether this store counts it as in flight.</param>
    /// <returns>The roll that stretched a cooldown.</returns>
    public double Apply(Lease lease, AttemptOutcome outcome, bool holdsPlace) => Settle(lease, outcome, holdsPlace);

    /// <summary>The newest pool that was asked of; null before the first, and its requests of this instance in flight.</summary>
    public (Pool? Pool, List<KeyValuePair<(Pool Pool, int Index), int>> InFlight) Here(string pool)
    {
        lock (_lock)
        {
            return _pools.TryGetValue(pool, out var books) ? (books.Newest, books.Here()) : (null, []);
        }
    }

    /// <summary>Begins at a random point of the strategy's round: instances that begin together do not all begin with the same backend.</summary>
    public void Scatter(Pool pool)
    {
        if (pool.Backends.IsEmpty)
        {
            return;
        }

        lock (_lock)
        {
            var books = BooksNeedsLock(pool.Name);
            var view = books.ViewOf(pool);
            for (var picks = _chance.Next(LongestScatter); picks > 0; picks--)
            {
                var request = new AcquireRequest { Pool = pool, Roll1 = _chance.NextDouble(), Roll2 = _chance.NextDouble() };
                if (TakeNeedsLock(books, view, request, NowMs()) is { } lease)
                {
                    view.Vitals[lease.Index].InFlight--;
                }
            }
        }
    }

    /// <summary>
    /// Takes over what a shared store knows by now, and settles upon it what it cannot know yet. Turns, balances and this instance's own
    /// requests in flight stay.
    /// </summary>
    /// <param name="pool">Whose backends <paramref name="known"/> are.</param>
    /// <param name="known">The store's vitals.</param>
    /// <param name="aheadMs">How far this store's clock is ahead of the other's.</param>
    /// <param name="reported">This instance's requests in flight that are in <paramref name="known"/>.</param>
    /// <param name="since">What was decided here since then.</param>
    public void Follow(
        Pool pool, PoolSnapshot known, long aheadMs, IReadOnlyList<KeyValuePair<(Pool Pool, int Index), int>> reported, IReadOnlyList<Decided> since)
    {
        lock (_lock)
        {
            var books = BooksNeedsLock(pool.Name);
            var view = books.ViewOf(pool);
            var mine = new int[view.Entries.Length];
            foreach (var (place, count) in reported)
            {
                if (pool.IndexOf(place.Pool.Backends[place.Index].Name) is >= 0 and var index)
                {
                    mine[index] += count;
                }
            }

            for (var index = 0; index < view.Entries.Length; index++)
            {
                var (entry, vitals) = (view.Entries[index], known.Backends[index].Vitals);
                var here = entry.Here;
                entry.Elsewhere = Math.Max(0, vitals.InFlight - mine[index]);
                (vitals.InFlight, vitals.Balance) = (here + entry.Elsewhere, entry.Vitals.Balance);
                Shift(vitals, aheadMs);
                entry.Vitals.Take(vitals);
            }

            foreach (var decided in since)
            {
                Redo(books, decided);
            }
        }
    }

    /// <summary>Counts on from what a shared store had counted; how backends stand is left as it is.</summary>
    public void CountFrom(Pool pool, PoolSnapshot known)
    {
        lock (_lock)
        {
            var books = BooksNeedsLock(pool.Name);
            books.Birth = known.Birth;
            foreach (var entry in books.ViewOf(pool).Entries)
            {
                entry.Totals = known.For(entry.Name).Totals.Copy();
            }
        }
    }

    /// <summary>Other instances' requests can no longer be seen to end.</summary>
    public void ForgetElsewhere(Pool pool)
    {
        lock (_lock)
        {
            foreach (var entry in BooksNeedsLock(pool.Name).ViewOf(pool).Entries)
            {
                entry.Vitals.InFlight = entry.Here;
                entry.Elsewhere = 0;
            }
        }
    }

    private void Redo(Books books, in Decided decided)
    {
        var lease = decided.Lease;
        if (books.Find(lease.Backend.Name)?.Vitals is not { } vitals)
        {
            return;
        }

        if (decided.Outcome is { } outcome)
        {
            Circuit.Settle(vitals, lease, outcome, lease.Pool.Options, NowMs(), decided.JitterRoll);
        }
        else if (vitals.Circuit != CircuitState.Closed && vitals.Epoch == lease.Epoch - 1)
        {
            Circuit.BeginTrial(vitals, lease.Id, lease.Backend.Timeout, NowMs());
        }
    }

    private static void Shift(Vitals vitals, long byMs)
    {
        vitals.OpenUntilMs = Shifted(vitals.OpenUntilMs, byMs);
        vitals.TrialUntilMs = Shifted(vitals.TrialUntilMs, byMs);
        vitals.RecoveredAtMs = Shifted(vitals.RecoveredAtMs, byMs);
        vitals.ParkedUntilMs = Shifted(vitals.ParkedUntilMs, byMs);
        vitals.WindowStartMs = Shifted(vitals.WindowStartMs, byMs);
        vitals.FailureLoadAtMs = Shifted(vitals.FailureLoadAtMs, byMs);
        vitals.LatencyAtMs = Shifted(vitals.LatencyAtMs, byMs);
        foreach (var model in vitals.AbsentModels?.Keys.ToList() ?? [])
        {
            vitals.AbsentModels![model] += byMs;
        }
    }

    private static long Shifted(long atMs, long byMs) => atMs == 0 ? 0 : atMs + byMs;
}
