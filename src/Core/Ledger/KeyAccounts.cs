using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.Keys;

namespace Roadbalancer.Ledger;

/// <summary>What the ledger holds of client keys, as far as this process knows it, and the base that a shared store keeps of it for the instances.</summary>
/// <param name="pools">The keys in force.</param>
/// <param name="time">Tells how old what is known is.</param>
/// <param name="shared">Where settlements of other instances leave it; null for one instance alone.</param>
internal sealed class KeyAccounts(PoolSource pools, TimeProvider time, RedisKeyBase? shared = null)
{
    private static readonly Dictionary<string, BackendRecord> Nothing = [];

    /// <summary>How old what is known may be while counters live on: its age changes no number, only how much a flush can cost.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    private readonly Accounts _accounts = new();
    private readonly Lock _lock = new();
    private Task<bool> _following = Task.FromResult(false);
    private long _followedAt;
    private long? _followedLives;

    /// <summary>By name, whatever its case.</summary>
    public ImmutableDictionary<string, BackendRecord> Records => _accounts.Records;

    public void Take(IEnumerable<KeyValuePair<string, BackendRecord>> records) => _accounts.Take(records);

    /// <summary>Learns what settlements of other instances have left, if the shared store answers. Nothing for an instance alone.</summary>
    public Task FollowAsync() => shared is null ? Task.CompletedTask : FollowNowAsync(shared, null);

    /// <summary>The same, unless it was done within 2 s and counters are of the same lives; one reading serves all that wait for it. True when something may have been learnt.</summary>
    /// <param name="lives">As <see cref="KeyUse.Lives"/> tells.</param>
    public async ValueTask<bool> RefreshAsync(long lives)
    {
        Task<bool> following;
        lock (_lock)
        {
            if (shared is null || (lives == _followedLives && time.GetElapsedTime(_followedAt) < Fresh))
            {
                return false;
            }

            following = _following = _following.IsCompleted ? FollowNowAsync(shared, lives) : _following;
        }

        return await following;
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

    private async Task<bool> FollowNowAsync(RedisKeyBase store, long? lives)
    {
        if (await store.ReadAsync() is not { } found)
        {
            return false;
        }

        Take(found);
        if (found.Count > 0)
        {
            // Forgotten by the ledger. What a store that is being filled again does not have yet is taken again when it has.
            _accounts.Drop(Records.Keys.Where(name => !found.ContainsKey(name) && pools.Current.Keys.Named(name) is null));
        }

        lock (_lock)
        {
            (_followedLives, _followedAt) = (lives, time.GetTimestamp());
        }

        return true;
    }
}
