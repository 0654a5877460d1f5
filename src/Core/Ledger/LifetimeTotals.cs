using System.Collections.Immutable;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>
/// The one place to ask for statistics: what the ledger holds and what the store has counted since, so that no number goes backwards across a
/// settlement, a restart, or a shared store that lost what it had. Without a ledger, what the store has counted.
/// </summary>
/// <param name="state">What is counted.</param>
/// <param name="accounts">What this process knows of the ledger.</param>
/// <param name="time">Tells how old that is.</param>
/// <param name="shared">Where settlements of other instances leave what the ledger holds; null for one instance alone.</param>
internal sealed class LifetimeTotals(IBalancerState state, Accounts accounts, TimeProvider time, RedisState? shared = null)
{
    /// <summary>How old what is known of the ledger may be while the store lives on: its age changes no number, only how much a flush can cost.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private Task _refreshing = Task.CompletedTask;
    private long _refreshedAt;
    private long _refreshedBirth = -1;

    /// <summary>As <see cref="IBalancerState.ReadAsync"/>, with the totals of each backend's whole life.</summary>
    public async ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken)
    {
        var snapshot = await state.ReadAsync(pool, cancellationToken);
        await RefreshAsync(pool, snapshot.Birth, cancellationToken);
        var records = accounts.Records;
        return records.IsEmpty ? snapshot : snapshot with
        {
            Backends = [.. snapshot.Backends.Select(backend => records.TryGetValue(backend.Name, out var record) ? Whole(backend, record, BirthOf(snapshot)) : backend),
                .. Unheard(snapshot, records)],
        };
    }

    /// <summary>The life that the counters of <paramref name="snapshot"/> belong to.</summary>
    public long BirthOf(PoolSnapshot snapshot) => snapshot.Birth != 0 || shared is not null ? snapshot.Birth : accounts.Life;

    /// <summary>
    /// Learns what settlements of other instances have left in the shared store, so that what a store that loses it may cost is what was counted
    /// since this was called last. Nothing for an instance alone.
    /// </summary>
    public Task FollowAsync(string pool) => shared is null ? Task.CompletedTask : RefreshNowAsync(shared, pool, birth: -1);

    private static BackendSnapshot Whole(BackendSnapshot backend, BackendRecord record, long birth) => backend with
    {
        Totals = record.Now(Tally.Of(backend.Totals, backend.Vitals.Trips), birth).ToTotals(backend.Totals),
    };

    /// <summary>Backends of the ledger that the store has not heard of yet: it began anew.</summary>
    private static IEnumerable<BackendSnapshot> Unheard(PoolSnapshot snapshot, ImmutableDictionary<string, BackendRecord> records)
    {
        var heard = snapshot.Backends.Select(backend => backend.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return records.Where(pair => !heard.Contains(pair.Key)).Select(pair => new BackendSnapshot(pair.Key, new Health.Vitals(), pair.Value.Totals.ToTotals()));
    }

    private async ValueTask RefreshAsync(string pool, long birth, CancellationToken cancellationToken)
    {
        Task refreshing;
        lock (_lock)
        {
            if (shared is null || (birth == _refreshedBirth && time.GetElapsedTime(_refreshedAt) < Fresh))
            {
                return;
            }

            refreshing = _refreshing = _refreshing.IsCompleted ? RefreshNowAsync(shared, pool, birth) : _refreshing;
        }

        await refreshing.WaitAsync(cancellationToken);
    }

    private async Task RefreshNowAsync(RedisState store, string pool, long birth)
    {
        try
        {
            var found = await store.ReadBaseAsync(pool, []);
            var known = accounts.Records;
            accounts.Take(found.Records);
            accounts.TakeDurable(found.DurableVersion);

            // A store that lost it is given it again by whoever holds it, like the run-time changes.
            var lost = known.Where(pair => pair.Value.Totals.Requests > (found.Records.GetValueOrDefault(pair.Key)?.Totals.Requests ?? 0))
                .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
            if (lost.Count > 0)
            {
                await store.KeepBaseAsync(pool, lost, accounts.DurableVersion);
            }

            lock (_lock)
            {
                (_refreshedBirth, _refreshedAt) = (birth, time.GetTimestamp());
            }
        }
        catch (SharedStateException)
        {
            // What is known here will do.
        }
    }
}
