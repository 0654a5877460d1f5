using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>What the store has counted, and the base that a shared store keeps for the instances: what a settlement reads and writes besides the ledger.</summary>
/// <param name="memory">Counts where nothing is shared.</param>
/// <param name="accounts">The number of this process's life.</param>
/// <param name="shared">Counts for all instances; null for one alone.</param>
internal sealed class Counters(InMemoryState memory, Accounts accounts, RedisState? shared = null)
{
    private static readonly Dictionary<string, BackendRecord> Nothing = [];

    /// <summary>Every backend that the store has heard of, and which of its lives they were counted in. None where it has nothing.</summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask<PoolSnapshot> ReadAsync(string pool) =>
        shared is null ? memory.ReadCounters(pool) with { Birth = accounts.Life } : await shared.ReadCountersAsync(pool);

    /// <summary>What an earlier settlement, of whichever instance, left there; by name.</summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>> ReadBaseAsync(string pool) =>
        shared is null ? Nothing : (await shared.ReadBaseAsync(pool, null)).Records;

    /// <summary>Leaves what the ledger holds for the other instances, as far as it is not there.</summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask KeepBaseAsync(
        string pool, IReadOnlyDictionary<string, BackendRecord> held, IReadOnlyDictionary<string, BackendRecord> there, long durableVersion)
    {
        if (shared is not null)
        {
            var news = held.Where(pair => there.GetValueOrDefault(pair.Key) is not { } known || known.Version != pair.Value.Version || known.History.ToString() != pair.Value.History.ToString())
                .ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
            await shared.KeepBaseAsync(pool, news, durableVersion);
        }
    }
}
