using System.Collections.Immutable;
using Roadbalancer.Keys;

namespace Roadbalancer.Ledger;

/// <summary>What the ledger holds of client keys, as far as this process knows it, and the base that a shared store keeps of it for the instances.</summary>
/// <param name="shared">Where settlements of other instances leave it; null for one instance alone.</param>
internal sealed class KeyAccounts(RedisKeyBase? shared = null)
{
    private static readonly Dictionary<string, BackendRecord> Nothing = [];

    private readonly Accounts _accounts = new();

    /// <summary>By name, whatever its case.</summary>
    public ImmutableDictionary<string, BackendRecord> Records => _accounts.Records;

    public void Take(IEnumerable<KeyValuePair<string, BackendRecord>> records) => _accounts.Take(records);

    /// <summary>Learns what settlements of other instances have left, if the shared store answers. Nothing for an instance alone.</summary>
    public async Task FollowAsync()
    {
        if (shared is not null && await shared.ReadAsync() is { } found)
        {
            Take(found);
        }
    }

    /// <summary>What an earlier settlement, of whichever instance, left in the shared store, without hours and days; null when that does not answer.</summary>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>?> ReadBaseAsync() => shared is null ? Nothing : await shared.ReadAsync();

    /// <summary>The same of <paramref name="names"/> with hours and days.</summary>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>?> ReadLogsAsync(IEnumerable<string> names) =>
        shared is null ? Nothing : await shared.ReadLogsAsync(names);

    /// <summary>Leaves what the ledger holds for the other instances, as far as it is not there. False when the shared store does not answer.</summary>
    public async ValueTask<bool> KeepBaseAsync(IEnumerable<KeyValuePair<string, BackendRecord>> held, IReadOnlyDictionary<string, BackendRecord> there) =>
        shared is null || await shared.KeepAsync(held.Where(pair => there.GetValueOrDefault(pair.Key)?.Version != pair.Value.Version));

    /// <summary>Forgets keys that the ledger has forgotten.</summary>
    public async ValueTask DropAsync(IReadOnlyCollection<string> names)
    {
        _accounts.Drop(names);
        if (shared is not null)
        {
            await shared.DropAsync(names);
        }
    }
}
