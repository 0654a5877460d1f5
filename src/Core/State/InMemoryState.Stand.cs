using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;

namespace Roadbalancer.State;

/// <content>Standing in for a shared store.</content>
internal sealed partial class InMemoryState
{
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
    public void Apply(Lease lease, in AttemptOutcome outcome, bool holdsPlace) => Settle(lease, outcome, holdsPlace);

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
