using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;

namespace Roadbalancer.Ledger;

/// <summary>
/// Brings what client keys were used for into the ledger, and what the ledger holds of them back to the instances: by the steps of <see cref="Settlement"/>, but
/// all signals of a run before the first is confirmed, since there may be hundreds. Who is not confirmed is the next run's.
/// </summary>
/// <param name="pools">The keys in force.</param>
/// <param name="usage">What was counted.</param>
/// <param name="accounts">Where what the ledger holds is left for this process and the others.</param>
/// <param name="time">Versions and hours.</param>
internal sealed class KeySettlement(PoolSource pools, KeyUsage usage, KeyAccounts accounts, TimeProvider time)
{
    /// <summary>Keys that are gone whose accounts are kept, those used last.</summary>
    public const int GoneKept = ClientKeyList.Most;

    /// <summary>
    /// How long nothing was brought in before the counters of a key that is gone are given up: the ledger has it all, and so have those of other instances.
    /// </summary>
    public static readonly TimeSpan Rest = TimeSpan.FromHours(1);

    /// <exception cref="OperationCanceledException">Cancelled; the next run goes on.</exception>
    public async Task RunAsync(SettleRun run, CancellationToken cancellationToken)
    {
        try
        {
            var held = await ReadRecordsAsync(run, cancellationToken);
            var shared = await ReadBaseAsync(held);
            var counted = await usage.ReadStoredAsync();
            if (shared is null || counted is null)
            {
                run.Miss("client keys: Redis does not serve");
                return;
            }

            await SettleAsync(run, held, shared, counted, cancellationToken);
            accounts.Take(held);
            if (!await accounts.KeepBaseAsync(held, shared))
            {
                run.Miss("client keys: Redis does not serve");
            }
        }
        catch (LedgerException exception)
        {
            run.Miss($"client keys: {exception.Message}");
        }
    }

    /// <summary>Takes over what the ledger holds, at start.</summary>
    /// <exception cref="LedgerException">The ledger does not answer.</exception>
    public async Task RestoreAsync(SettleRun run, CancellationToken cancellationToken) => accounts.Take(await ReadRecordsAsync(run, cancellationToken));

    /// <param name="held">What the ledger holds; what is confirmed takes its place.</param>
    private async Task SettleAsync(
        SettleRun run, Dictionary<string, BackendRecord> held, IReadOnlyDictionary<string, BackendRecord> shared, IReadOnlyDictionary<string, CountedKey> counted,
        CancellationToken cancellationToken)
    {
        var (puts, idle) = (new Dictionary<string, BackendPut>(), new List<string>());
        foreach (var (name, key) in counted.Where(pair => !run.IsUnreadable(Label(pair.Key))).OrderBy(pair => held.GetValueOrDefault(pair.Key)?.Version ?? 0))
        {
            var known = new[] { held.GetValueOrDefault(name), shared.GetValueOrDefault(name), accounts.Records.GetValueOrDefault(name) };
            if (BackendPut.Bringing(known, Tally.Of(key.Counts), key.Birth, time.GetUtcNow()) is { } put)
            {
                puts[EntityKey.Of(name)] = put;
            }
            else if (time.GetUtcNow().ToUnixTimeMilliseconds() - (known[0]?.Version ?? 0) >= Rest.TotalMilliseconds)
            {
                idle.Add(name);
            }
        }

        await SendAsync(run, puts, held, cancellationToken);

        foreach (var name in idle.Where(name => pools.Current.Keys.Named(name) is null))
        {
            await usage.ForgetAsync(name, counted[name]);
        }

        await DropOldestAsync(run, held, counted, cancellationToken);
    }

    /// <param name="puts">By <see cref="EntityKey"/>.</param>
    private static async Task SendAsync(SettleRun run, Dictionary<string, BackendPut> puts, Dictionary<string, BackendRecord> held, CancellationToken cancellationToken)
    {
        var inputs = puts.Select(pair => (pair.Key, pair.Value.ToJson())).ToList();
        var states = await run.SendAllAsync(KeyEntity.Name, inputs, (key, state) => BackendRecord.Parse(state).Version != puts[key].After, cancellationToken);
        var settled = 0;
        foreach (var (key, state) in states)
        {
            // Another's put may have been faster: then the next run goes on from that one.
            var record = held[EntityKey.NameOf(key)!] = BackendRecord.Parse(state);
            settled += record.Version == puts[key].Version ? 1 : 0;
        }

        if (settled > 0)
        {
            run.Tell(string.Create(CultureInfo.InvariantCulture, $"settled {settled} client keys"));
        }

        if (settled < puts.Count)
        {
            run.Miss(string.Create(CultureInfo.InvariantCulture, $"client keys: {puts.Count - settled} of {puts.Count} not confirmed yet"));
        }
    }

    /// <summary>The shared base, with hours and days where the ledger has lost a record; elsewhere those of the ledger stay, and need not be read. Null when Redis does not answer.</summary>
    private async Task<IReadOnlyDictionary<string, BackendRecord>?> ReadBaseAsync(Dictionary<string, BackendRecord> held)
    {
        if (await accounts.ReadBaseAsync() is not { } shared || await accounts.ReadLogsAsync(shared.Keys.Where(name => !held.ContainsKey(name))) is not { } lost)
        {
            return null;
        }

        var whole = new Dictionary<string, BackendRecord>(shared, StringComparer.OrdinalIgnoreCase);
        foreach (var (name, record) in lost)
        {
            whole[name] = record;
        }

        return whole;
    }

    /// <summary>Keys come and go without end, their accounts may not.</summary>
    private async Task DropOldestAsync(SettleRun run, Dictionary<string, BackendRecord> held, IReadOnlyDictionary<string, CountedKey> counted, CancellationToken cancellationToken)
    {
        var oldest = held.Where(pair => !counted.ContainsKey(pair.Key) && pools.Current.Keys.Named(pair.Key) is null)
            .OrderByDescending(pair => pair.Value.Version).Skip(GoneKept).Select(pair => pair.Key).ToList();
        foreach (var name in oldest)
        {
            await run.SignalAsync(KeyEntity.Name, EntityKey.Of(name), "delete", "{}", cancellationToken);
            held.Remove(name);
        }

        if (oldest.Count > 0)
        {
            await accounts.DropAsync(oldest);
        }
    }

    private static async Task<Dictionary<string, BackendRecord>> ReadRecordsAsync(SettleRun run, CancellationToken cancellationToken)
    {
        var records = new Dictionary<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, state) in await run.Ledger.ListAsync(KeyEntity.Name, cancellationToken))
        {
            if (EntityKey.NameOf(key) is not { } name)
            {
                continue;
            }

            try
            {
                records[name] = BackendRecord.Parse(state);
            }
            catch (Exception exception) when (exception is FormatException or NotSupportedException)
            {
                run.MissUnreadable(Label(name), exception.Message);
            }
        }

        return records;
    }

    /// <summary>Keys and backends may have the same names.</summary>
    private static string Label(string name) => $"client key {name}";
}
