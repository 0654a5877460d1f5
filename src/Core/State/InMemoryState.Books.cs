using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Stats;

namespace Roadbalancer.State;

/// <content>What is kept of a pool, and how it survives the pool's replacement.</content>
internal sealed partial class InMemoryState
{
    /// <summary>One backend by name: it outlives every <see cref="Pool"/> that it is in.</summary>
    private sealed class Entry(string name, Vitals vitals, BackendTotals totals)
    {
        public string Name { get; } = name;

        public Vitals Vitals { get; } = vitals;

        public BackendTotals Totals { get; set; } = totals;

        /// <summary>How many of the requests in flight are other instances', as they last reported them.</summary>
        public int Elsewhere { get; set; }

        public int Here => Vitals.InFlight - Elsewhere;
    }

    /// <summary>A backend as a search through the pool meets it: what is fixed beside what changes.</summary>
    private readonly record struct Place(int Index, int Priority, int Weight, int MaxConnections, bool TakesAny, Vitals Vitals);

    /// <summary>The entries and their vitals in one pool's order, and its places by priority, then order.</summary>
    private sealed record View(Pool Pool, Entry[] Entries, Vitals[] Vitals, Place[] Places);

    /// <summary>
    /// All that is known of one pool. A request may carry an older <see cref="Pool"/> than the newest seen; two views are cached, so
    /// that the last requests of the one before do not rebuild theirs each time.
    /// </summary>
    private sealed class Books
    {
        /// <summary>Names that left whose counters are kept, in case that they return: a number never goes backwards.</summary>
        private const int GoneKept = 256;

        private readonly Dictionary<string, Entry> _entries = new(StringComparer.OrdinalIgnoreCase);
        private readonly Dictionary<string, BackendTotals> _gone = new(StringComparer.OrdinalIgnoreCase);
        private View? _newest;
        private View? _older;

        public long Turn { get; set; }

        /// <summary>The life of the store that these were taken over from; 0 when they began here.</summary>
        public long Birth { get; set; }

        /// <summary>What is known of a backend from elsewhere; before the first view.</summary>
        public void Put(string name, Vitals vitals, BackendTotals totals) => _entries[name] = new Entry(name, vitals, totals);

        public View ViewOf(Pool pool)
        {
            if (ReferenceEquals(_newest?.Pool, pool))
            {
                return _newest;
            }

            if (ReferenceEquals(_older?.Pool, pool))
            {
                return _older;
            }

            if (_newest is null || pool.Version > _newest.Pool.Version)
            {
                Adopt(pool);
                return _newest;
            }

            return _older = Build(pool);
        }

        /// <summary>Copies of all entries: the newest pool's in its order, then removed ones that still have requests.</summary>
        public ImmutableArray<BackendSnapshot> Copy()
        {
            var newest = _newest?.Entries ?? [];
            return [.. newest.Concat(_entries.Values.Except(newest).Where(entry => entry.Vitals.InFlight > 0))
                .Select(entry => new BackendSnapshot(entry.Name, entry.Vitals.Copy(), entry.Totals.Copy()))];
        }

        /// <summary>The counters of all backends, also of those that have left.</summary>
        public IEnumerable<BackendSnapshot> Counters() =>
            _entries.Values.Select(entry => new BackendSnapshot(entry.Name, entry.Vitals.Copy(), entry.Totals.Copy()))
                .Concat(_gone.Select(pair => new BackendSnapshot(pair.Key, new Vitals(), pair.Value.Copy())));

        /// <summary>The newest pool seen; null before the first.</summary>
        public Pool? Newest => _newest?.Pool;

        /// <summary>What is kept of a backend; null when nothing is.</summary>
        public Entry? Find(string name) => _entries.GetValueOrDefault(name);

        /// <summary>This instance's own requests in flight, each place in the newest pool that has it.</summary>
        public List<KeyValuePair<(Pool Pool, int Index), int>> Here()
        {
            var here = new List<KeyValuePair<(Pool, int), int>>();
            foreach (var entry in _entries.Values)
            {
                if (entry.Here > 0 && new[] { _newest, _older }.FirstOrDefault(view => view?.Pool.IndexOf(entry.Name) >= 0) is { } view)
                {
                    here.Add(new((view.Pool, view.Pool.IndexOf(entry.Name)), entry.Here));
                }
            }

            return here;
        }

        /// <summary>Forgets a backend that left the configuration with its last request, but for what was counted.</summary>
        public void DropIfGone(Entry entry)
        {
            if (entry.Vitals.InFlight == 0 && _older is not null && _newest!.Pool.IndexOf(entry.Name) < 0)
            {
                // A view that still pointed at it would count on an entry that nobody else sees.
                _entries.Remove(entry.Name);
                _older = null;
                if (_gone.Count < GoneKept)
                {
                    _gone[entry.Name] = entry.Totals;
                }
            }
        }

        /// <summary>Balances start over: they were kept in the old weights.</summary>
        [System.Diagnostics.CodeAnalysis.MemberNotNull(nameof(_newest))]
        private void Adopt(Pool pool)
        {
            _older = _newest;
            _newest = Build(pool);
            foreach (var entry in _entries.Values)
            {
                entry.Vitals.Balance = 0;
                DropIfGone(entry);
            }
        }

        private View Build(Pool pool)
        {
            Entry[] entries = [.. pool.Backends.Select(backend => EntryOf(backend.Name))];
            Place[] places = [.. pool.Backends
                .Select((backend, index) => new Place(
                    index, backend.Priority, backend.Weight, backend.MaxConnections, Eligibility.TakesAny(backend), entries[index].Vitals))
                .OrderBy(place => place.Priority)];
            return new View(pool, entries, [.. entries.Select(entry => entry.Vitals)], places);
        }

        private Entry EntryOf(string name)
        {
            if (!_entries.TryGetValue(name, out var entry))
            {
                _entries[name] = entry = new Entry(name, new(), _gone.Remove(name, out var counted) ? counted : new());
            }

            return entry;
        }
    }
}
