using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>
/// Statistics over time: what the ledger holds, by the hour for 35 days and by the day for 400, and what has been counted since, in the present hour.
/// Under the Functions host it comes from what the last settlement left in Redis.
/// </summary>
internal sealed class History(Counters counters, Accounts accounts, PoolSource pools, TimeProvider time)
{
    /// <summary>The points from <paramref name="from"/> to <paramref name="to"/>, on whole steps since 1970 that cover both.</summary>
    /// <param name="backend">One backend's name; null for all.</param>
    /// <param name="from">The beginning; what is more than 401 days ago is left out.</param>
    /// <param name="to">The end; the present hour, which still grows, is included when it covers now. What is more than an hour ahead is left out.</param>
    /// <param name="step">Between points; rounded up to whole hours, to whole days where <paramref name="from"/> is more than 35 days ago.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="ArgumentException">The span ends before it begins, or the step is not above 0.</exception>
    public async Task<HistoryReport> ReadAsync(string? backend, DateTimeOffset from, DateTimeOffset to, TimeSpan step, CancellationToken cancellationToken)
    {
        var span = HistorySpan.Of(from, to, step, time.GetUtcNow());
        var histories = ImmutableArray.CreateBuilder<BackendHistory>();
        foreach (var (name, record) in await RecordsAsync(backend, cancellationToken))
        {
            histories.Add(new BackendHistory(name, span.Points(record.History), record.Trips));
        }

        return new HistoryReport(span.From, span.To, span.Step, histories.ToImmutable());
    }

    private async Task<List<(string Name, BackendRecord Record)>> RecordsAsync(string? backend, CancellationToken cancellationToken)
    {
        var pool = pools.Current;
        var records = new Dictionary<string, BackendRecord>(accounts.Records, StringComparer.OrdinalIgnoreCase);
        PoolSnapshot counted;
        try
        {
            foreach (var (name, record) in (await counters.ReadBaseAsync(pool.Name).AsTask().WaitAsync(cancellationToken)))
            {
                records[name] = records.GetValueOrDefault(name) is { } known && known.Totals.Requests > record.Totals.Requests && !known.History.IsEmpty ? known : record;
            }

            counted = await counters.ReadAsync(pool.Name).AsTask().WaitAsync(cancellationToken);
        }
        catch (SharedStateException)
        {
            // What this process knows has to do while Redis does not serve.
            counted = new PoolSnapshot(pool.Name, 0, []);
        }

        var now = HourLog.HourOf(time.GetUtcNow());
        foreach (var one in counted.Backends)
        {
            var record = records.GetValueOrDefault(one.Name) ?? BackendRecord.None;
            var since = Bucket.Of(record.Since(Tally.Of(one.Totals, one.Vitals.Trips), counted.Birth));
            records[one.Name] = record with { History = record.History.With(now, record.History.At(now) + since) };
        }

        return [.. records.Where(pair => backend is null || string.Equals(pair.Key, backend, StringComparison.OrdinalIgnoreCase))
            .Select(pair => (NameOf(pool, pair.Key), pair.Value)).OrderBy(pair => pair.Item1, StringComparer.Ordinal)];
    }

    /// <summary>As the pool writes it; the ledger knows names in lower case.</summary>
    private static string NameOf(Pool pool, string name) => pool.IndexOf(name) is var index and >= 0 ? pool.Backends[index].Name : name;
}
