namespace Roadbalancer.Keys;

/// <summary>What keys have been used for, as far as counters tell: the ledger adds what was before them. Names are meant whatever their case.</summary>
/// <param name="Stored">What is counted in the store.</param>
/// <param name="Unsent">What this instance has counted and the store may not have yet.</param>
internal sealed record KeyUse(IReadOnlyDictionary<string, CountedKey> Stored, IReadOnlyDictionary<string, KeyCounts> Unsent)
{
    /// <summary>Every key that was used.</summary>
    public IEnumerable<string> Names => Stored.Keys.Union(Unsent.Keys, StringComparer.OrdinalIgnoreCase);

    /// <summary>Another number when counters have begun anew, all or some.</summary>
    public long Lives => Stored.Values.Aggregate(0L, static (lives, key) => unchecked(lives + key.Birth));

    /// <summary>Both of one key together; zeros for one that was never used.</summary>
    public KeyCounts this[string name] => Stored.GetValueOrDefault(name).Counts + Unsent.GetValueOrDefault(name);
}
