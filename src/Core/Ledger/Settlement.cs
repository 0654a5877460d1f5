using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>
/// Brings what was counted and changed into the ledger, and what the ledger holds back to the instances. It begins each time from what the
/// ledger holds, sends absolute values, confirms them by reading and sends again: it may be killed between any two steps and run any number of times.
/// </summary>
/// <remarks>
/// A store that lost what it had is rebuilt by the same steps: its counters belong to a new life then, and the totals are those of the
/// ledger and all that was counted in the new one. Of several records of one backend the one that missed least is gone on from, since none counts anything twice.
/// </remarks>
internal sealed class Settlement : IDisposable
{
    /// <summary>How long a run may take; what is left over is the next one's.</summary>
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(20);

    private const int MostTries = 3;

    private readonly PoolSource _pools;
    private readonly PoolSync _sync;
    private readonly Counters _counters;
    private readonly Accounts _accounts;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <param name="pools">The pool in force.</param>
    /// <param name="sync">The run-time changes.</param>
    /// <param name="counters">What was counted.</param>
    /// <param name="accounts">Where what the ledger holds is left for this process.</param>
    /// <param name="time">Versions, hours, and the pace of asking again.</param>
    public Settlement(PoolSource pools, PoolSync sync, Counters counters, Accounts accounts, TimeProvider time) =>
        (_pools, _sync, _counters, _accounts, _time) = (pools, sync, counters, accounts, time);

    /// <summary>Settles client keys; null for none.</summary>
    public KeySettlement? Keys { get; init; }

    /// <summary>One settlement with <paramref name="ledger"/>; while another runs, nothing.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; the next run goes on.</exception>
    public async Task<SettleReport> RunAsync(ILedger ledger, CancellationToken cancellationToken)
    {
        if (!await _turn.WaitAsync(TimeSpan.Zero, cancellationToken))
        {
            return new SettleReport(false, ["the settlement before still runs"]);
        }

        try
        {
            var run = new SettleRun(ledger, _time, Budget);
            await SettleRegistryAsync(run, cancellationToken);
            if (Keys is not null)
            {
                // First, since backends that are slow to confirm take all the time there is; keys are sent together and take little.
                run.HalveTime();
                await Keys.RunAsync(run, cancellationToken);
                run.TakeAllTime();
            }

            await SettleTotalsAsync(run, cancellationToken);
            return run.Report();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Takes over what <paramref name="ledger"/> holds, at start: registry and totals, nothing is sent.</summary>
    /// <exception cref="LedgerException">The ledger does not answer.</exception>
    public async Task RestoreAsync(ILedger ledger, CancellationToken cancellationToken)
    {
        var run = new SettleRun(ledger, _time, Budget);
        var kept = await ReadRegistryAsync(run, cancellationToken);
        if (kept is not null)
        {
            await _sync.RootAsync(kept, cancellationToken);
            _accounts.TakeDurable(kept.Version);
        }

        _accounts.Take(await ReadRecordsAsync(run, cancellationToken));
        await (Keys?.RestoreAsync(run, cancellationToken) ?? Task.CompletedTask);
    }

    /// <summary>Has one version of the run-time changes in <paramref name="ledger"/> when it ends.</summary>
    /// <exception cref="LedgerException">It is not there.</exception>
    public async Task KeepAsync(ILedger ledger, PoolEdits edits, CancellationToken cancellationToken)
    {
        await ledger.SignalAsync(
            RegistryEntity.Name, EntityKey.Of(_pools.Current.Name), "put", RegistryRecord.Of(edits.Version, edits.ToJson()).ToJson(), cancellationToken);
        _accounts.TakeDurable(edits.Version);
    }

    public void Dispose() => _turn.Dispose();

    private async Task SettleRegistryAsync(SettleRun run, CancellationToken cancellationToken)
    {
        try
        {
            await _sync.MeetSharedAsync(cancellationToken);
            if (await ReadRegistryAsync(run, cancellationToken) is not { } kept)
            {
                return;
            }

            var inForce = await _sync.RootAsync(kept, cancellationToken);
            if (inForce.Version > kept.Version)
            {
                await SendRegistryAsync(run, kept.Version, inForce, cancellationToken);
            }
            else if (run.Lasts)
            {
                _accounts.TakeDurable(kept.Version);
            }
        }
        catch (LedgerException exception)
        {
            run.Miss($"run-time changes: {exception.Message}");
        }
    }

    private async Task SendRegistryAsync(SettleRun run, long after, PoolEdits inForce, CancellationToken cancellationToken)
    {
        var record = RegistryRecord.Of(inForce.Version, inForce.ToJson());
        var held = await run.SendAsync(
            RegistryEntity.Name, EntityKey.Of(_pools.Current.Name), record.ToJson(after), state => RegistryRecord.Parse(state) == record, cancellationToken);
        if (held is null)
        {
            run.Miss(string.Create(CultureInfo.InvariantCulture, $"run-time changes: version {inForce.Version} is not confirmed yet"));
            return;
        }

        if (run.Lasts)
        {
            _accounts.TakeDurable(RegistryRecord.Parse(held).Version);
            run.Tell(string.Create(CultureInfo.InvariantCulture, $"run-time changes: version {inForce.Version} is durable"));
        }
    }

    /// <summary>What the ledger holds of the run-time changes; nothing changed when it holds none, null when that cannot be read.</summary>
    private async Task<PoolEdits?> ReadRegistryAsync(SettleRun run, CancellationToken cancellationToken)
    {
        var state = await run.Ledger.ReadAsync(RegistryEntity.Name, EntityKey.Of(_pools.Current.Name), cancellationToken);
        try
        {
            var record = state is null ? RegistryRecord.None : RegistryRecord.Parse(state);
            return record.Version == 0 ? PoolEdits.None : PoolEdits.Parse(record.Document()) with { Version = record.Version };
        }
        catch (Exception exception) when (exception is FormatException or NotSupportedException or System.Text.Json.JsonException)
        {
            run.Miss($"run-time changes: the ledger's cannot be read and are left as they are: {exception.Message}");
            return null;
        }
    }

    private async Task SettleTotalsAsync(SettleRun run, CancellationToken cancellationToken)
    {
        try
        {
            var held = await ReadRecordsAsync(run, cancellationToken);
            var shared = await _counters.ReadBaseAsync(_pools.Current.Name);
            var counted = await _counters.ReadAsync(_pools.Current.Name);
            var confirmed = new Dictionary<string, BackendRecord>(held, StringComparer.OrdinalIgnoreCase);
            await CloseForgottenAsync(run, held, counted, confirmed, cancellationToken);
            foreach (var backend in counted.Backends.OrderBy(backend => held.GetValueOrDefault(backend.Name)?.Version ?? 0))
            {
                if (run.IsUnreadable(backend.Name))
                {
                    continue;
                }

                var known = new[] { held.GetValueOrDefault(backend.Name), shared.GetValueOrDefault(backend.Name), _accounts.Records.GetValueOrDefault(backend.Name) };
                if (await SettleOneAsync(run, backend, counted.Birth, known, cancellationToken) is { } record)
                {
                    confirmed[backend.Name] = record;
                }
            }

            _accounts.Take(confirmed);
            await _counters.KeepBaseAsync(_pools.Current.Name, confirmed, shared, _accounts.DurableVersion);
        }
        catch (LedgerException exception)
        {
            run.Miss($"statistics: {exception.Message}");
        }
        catch (SharedStateException exception)
        {
            run.Miss($"statistics: Redis does not serve ({exception.Message})");
        }
    }

    /// <summary>Gives a backend's counters a new mark when the store has forgotten the backend: what it counts under that name later begins anew.</summary>
    private async Task CloseForgottenAsync(
        SettleRun run, IReadOnlyDictionary<string, BackendRecord> held, PoolSnapshot counted, Dictionary<string, BackendRecord> confirmed, CancellationToken cancellationToken)
    {
        var counting = counted.Backends.Select(backend => backend.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, record) in held.Where(pair => !counting.Contains(pair.Key) && pair.Value.Birth == counted.Birth && pair.Value.Mark.Requests > 0))
        {
            var put = new BackendPut { Version = BackendPut.VersionAfter(record, _time.GetUtcNow()), After = record.Version, Birth = record.Birth, Totals = record.Totals, Mark = Tally.Zero };
            if (await SendPutAsync(run, name, put, cancellationToken) is { } closed)
            {
                confirmed[name] = closed;
            }
        }
    }

    /// <param name="known">What is known of the backend: the ledger's record first, then others.</param>
    /// <returns>The ledger's record from now on; null when it is as it was or not known.</returns>
    private async Task<BackendRecord?> SettleOneAsync(
        SettleRun run, BackendSnapshot backend, long birth, BackendRecord?[] known, CancellationToken cancellationToken)
    {
        await ConfigureAsync(run, backend.Name, known[0] ?? BackendRecord.None, cancellationToken);
        var counters = Tally.Of(backend.Totals, backend.Vitals.Trips);
        BackendRecord? settled = null;
        for (var tries = 0; tries < MostTries; tries++)
        {
            if (BackendPut.Bringing(known, counters, birth, _time.GetUtcNow()) is not { } put)
            {
                return settled;
            }

            // Another's put, or an earlier one of ours, may have been faster: then it is gone on from that one.
            settled = known[0] = await SendPutAsync(run, backend.Name, put, cancellationToken);
            if (settled is null || settled.Version == put.Version)
            {
                return settled;
            }
        }

        run.Miss($"{backend.Name}: others were faster");
        return settled;
    }

    /// <summary>The ledger's record once it is another than the one that <paramref name="put"/> goes on from; null while it is not.</summary>
    private static async Task<BackendRecord?> SendPutAsync(SettleRun run, string name, BackendPut put, CancellationToken cancellationToken)
    {
        var state = await run.SendAsync(
            BackendEntity.Name, EntityKey.Of(name), put.ToJson(), state => BackendRecord.Parse(state).Version != put.After, cancellationToken);
        if (state is null)
        {
            run.Miss($"{name}: not confirmed yet");
            return null;
        }

        var record = BackendRecord.Parse(state);
        if (record.Version == put.Version)
        {
            run.Settle();
        }

        return record;
    }

    /// <summary>Not waited for: it is compared again in the next run.</summary>
    private async Task ConfigureAsync(SettleRun run, string name, BackendRecord held, CancellationToken cancellationToken)
    {
        var options = _pools.Current.Options;
        long threshold = options.FailureThreshold, cooldownMs = (long)options.Cooldown.TotalMilliseconds;
        if (_pools.Current.IndexOf(name) >= 0 && (held.Threshold != threshold || held.CooldownMs != cooldownMs))
        {
            var version = Math.Max(held.ConfiguredVersion + 1, _time.GetUtcNow().ToUnixTimeMilliseconds());
            await run.SignalAsync(
                BackendEntity.Name, EntityKey.Of(name), "configure", string.Create(CultureInfo.InvariantCulture, $$"""{"version":{{version}},"threshold":{{threshold}},"cooldown":{{cooldownMs}}}"""), cancellationToken);
        }
    }

    private static async Task<Dictionary<string, BackendRecord>> ReadRecordsAsync(SettleRun run, CancellationToken cancellationToken)
    {
        var records = new Dictionary<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, state) in await run.Ledger.ListAsync(BackendEntity.Name, cancellationToken))
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
                run.MissUnreadable(name, exception.Message);
            }
        }

        return records;
    }
}
