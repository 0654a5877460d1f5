using Roadbalancer.Keys;

namespace Roadbalancer.Ledger;

/// <summary>
/// The one place to ask what client keys were used for: what the ledger holds and what has been counted since, as <see cref="LifetimeTotals"/> tells it of backends.
/// </summary>
internal sealed class KeyTotals(KeyUsage usage, KeyAccounts accounts)
{
    /// <summary>What each of <paramref name="names"/> was used for in its whole life; zeros where it never was.</summary>
    public async ValueTask<IReadOnlyDictionary<string, KeyCounts>> ReadAsync(IEnumerable<string> names)
    {
        // The counters after the records: a record that is older than the counters tells the right sum, a counter of a life before its record does not.
        var records = accounts.Records;
        var use = await usage.ReadAsync();
        if (await accounts.RefreshAsync(use.Lives))
        {
            records = accounts.Records;
            use = await usage.ReadAsync();
        }

        return names.ToDictionary(name => name, name => Of(records.GetValueOrDefault(name) ?? BackendRecord.None, use, name), StringComparer.OrdinalIgnoreCase);
    }

    private static KeyCounts Of(BackendRecord record, KeyUse use, string name)
    {
        var stored = use.Stored.GetValueOrDefault(name);
        return record.Now(Tally.Of(stored.Counts), stored.Birth).ToKeyCounts() + use.Unsent.GetValueOrDefault(name);
    }
}
