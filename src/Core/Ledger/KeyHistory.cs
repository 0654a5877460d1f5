using Roadbalancer.Backends;
using Roadbalancer.Keys;

namespace Roadbalancer.Ledger;

/// <summary>What client keys were used for over time, as <see cref="History"/> tells it of backends.</summary>
internal sealed class KeyHistory(KeyUsage usage, KeyAccounts accounts, PoolSource pools, TimeProvider time)
{
    /// <summary>The points of all keys together, those of nothing included.</summary>
    public const int MostPoints = 100_000;

    /// <summary>The points of one key, or of all that are in force or have a history.</summary>
    /// <param name="key">One key's name, whatever its case; null for all.</param>
    /// <param name="from">As in <see cref="History.ReadAsync"/>.</param>
    /// <param name="to">As there.</param>
    /// <param name="step">As there.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>No keys when there is none of the name, and never was, or with a <see cref="KeyHistoryReport.Fault"/>.</returns>
    /// <exception cref="ArgumentException">The span ends before it begins, or the step is not above 0.</exception>
    public async Task<KeyHistoryReport> ReadAsync(string? key, DateTimeOffset from, DateTimeOffset to, TimeSpan step, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var span = HistorySpan.Of(from, to, step, now);
        var wanted = key is null ? await NamesAsync().WaitAsync(cancellationToken) : [key];
        if ((long)(wanted?.Count ?? 0) * span.Count > MostPoints)
        {
            return new KeyHistoryReport(span, []) { Fault = KeyHistoryFault.TooMany };
        }

        if (wanted is null || await RecordsAsync(wanted).WaitAsync(cancellationToken) is not { } records)
        {
            return new KeyHistoryReport(span, []) { Fault = KeyHistoryFault.Unread };
        }

        var use = await usage.ReadAsync().AsTask().WaitAsync(cancellationToken);
        var keys = pools.Current.Keys;
        var names = keys.Keys.Select(known => known.Name).Union(records.Keys, StringComparer.OrdinalIgnoreCase).Union(use.Names, StringComparer.OrdinalIgnoreCase);
        return new KeyHistoryReport(span,
        [
            .. names.Where(name => key is null || name.Equals(key, StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal)
                .Select(name => (name, span.Points(LogOf(records.GetValueOrDefault(name) ?? BackendRecord.None, use, name, now)))),
        ]);
    }

    /// <summary>The record's hours, and what it does not have yet in the present one.</summary>
    private static HourLog LogOf(BackendRecord record, KeyUse use, string name, DateTimeOffset now)
    {
        var stored = use.Stored.GetValueOrDefault(name);
        var since = record.Since(Tally.Of(stored.Counts), stored.Birth).Plus(Tally.Of(use.Unsent.GetValueOrDefault(name)));
        var hour = HourLog.HourOf(now);
        return record.History.With(hour, record.History.At(hour) + Bucket.Of(since));
    }

    /// <summary>Of every key that is in force or has a history; null when the shared store does not answer.</summary>
    private async Task<List<string>?> NamesAsync() => await accounts.ReadBaseAsync() is not { } found ? null
        : [.. pools.Current.Keys.Keys.Select(known => known.Name).Concat(accounts.Records.Keys).Union(found.Keys, StringComparer.OrdinalIgnoreCase)];

    /// <summary>What this process knows, and what another's settlement has left in the shared store where that is newer; null when that does not answer.</summary>
    private async Task<Dictionary<string, BackendRecord>?> RecordsAsync(List<string> names)
    {
        var records = new Dictionary<string, BackendRecord>(accounts.Records, StringComparer.OrdinalIgnoreCase);
        if (await accounts.ReadLogsAsync(names) is not { } found)
        {
            return null;
        }

        foreach (var (name, record) in found)
        {
            records[name] = records.GetValueOrDefault(name) is { } known && known.Totals.Requests > record.Totals.Requests && !known.History.IsEmpty ? known : record;
        }

        return records;
    }
}
