using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Ledger;

/// <summary>What this process knows of the ledger: the newest record of every account of a kind, by name, replaced as a whole.</summary>
/// <remarks>A record of any age tells the totals of now together with the store's counters, so what is held here cannot become wrong.</remarks>
internal sealed class Accounts
{
    private readonly Lock _lock = new();
    private volatile ImmutableDictionary<string, BackendRecord> _records = ImmutableDictionary.Create<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
    private long _durableVersion;

    /// <summary>The number of this process's life, for the counters of a store in memory; never 0.</summary>
    public long Life { get; } = NewLife();

    /// <summary>By name, whatever its case.</summary>
    public ImmutableDictionary<string, BackendRecord> Records => _records;

    /// <summary>The version of the run-time changes that is known to be in the ledger; 0 for none.</summary>
    public long DurableVersion => Interlocked.Read(ref _durableVersion);

    /// <summary>A number that no other life of any store has; with room above it for more, 0 never among them.</summary>
    public static long NewLife() => BitConverter.ToInt64(Guid.NewGuid().ToByteArray()) >>> 12 | 1;

    /// <summary>Whether these changes outlast the loss of every process, as far as is known here. Begun apart, they do not before they are joined with the others.</summary>
    public bool IsDurable(PoolEdits edits) => edits.Origin == 0 && edits.Version <= DurableVersion;

    /// <summary>Takes records that know of as many requests as those held, or more.</summary>
    public void Take(IEnumerable<KeyValuePair<string, BackendRecord>> records)
    {
        lock (_lock)
        {
            var mine = _records.ToBuilder();
            foreach (var (name, record) in records)
            {
                if (!mine.TryGetValue(name, out var held) || record.Totals.Requests >= held.Totals.Requests)
                {
                    // Without hours and days it was read for the totals alone.
                    mine[name] = record.History.IsEmpty && held is not null ? record with { History = held.History } : record;
                }
            }

            _records = mine.ToImmutable();
        }
    }

    public void Drop(IEnumerable<string> names)
    {
        lock (_lock)
        {
            _records = _records.RemoveRange(names);
        }
    }

    public void TakeDurable(long version)
    {
        lock (_lock)
        {
            _durableVersion = Math.Max(_durableVersion, version);
        }
    }
}
