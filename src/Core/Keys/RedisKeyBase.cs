using Roadbalancer.Ledger;
using Roadbalancer.Redis;
using Roadbalancer.State;
using StackExchange.Redis;

namespace Roadbalancer.Keys;

/// <summary>What the ledger holds of keys, as settlements leave it in Redis for the instances; in the form of the backends' base, under keys of its own.</summary>
internal sealed class RedisKeyBase(RedisLink link, string prefix, string pool)
{
    /// <summary>Records of one call, so that a store that lost them all is not held up by giving them back.</summary>
    private const int AtOnce = 50;

    private static readonly RedisScript Drop = RedisScript.Compose("keys_drop");

    private readonly RedisKey[] _keys = [$"{prefix}{{{pool}}}:keybase", $"{prefix}{{{pool}}}:keyhistory"];

    /// <summary>The records, by lower-case name; null when Redis does not answer.</summary>
    /// <param name="histories">Whose hours and days are wanted too; null for those of all.</param>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>?> ReadAsync(IReadOnlyCollection<string>? histories)
    {
        var reply = await link.EvaluateAsync(StateScripts.BaseRead, _keys, SharedBase.Asking(histories));
        return reply.Fault is null ? SharedBase.Decode(reply.Parts).Records : null;
    }

    /// <summary>Puts <paramref name="records"/> there, where none that knows more is. False when Redis did not answer.</summary>
    public async ValueTask<bool> KeepAsync(IEnumerable<KeyValuePair<string, BackendRecord>> records)
    {
        foreach (var some in records.Chunk(AtOnce))
        {
            if ((await link.EvaluateAsync(StateScripts.BaseKeep, _keys, SharedBase.Encode(some, 0))).Fault is not null)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Takes the records of those names out again, if Redis answers.</summary>
    public async ValueTask DropAsync(IEnumerable<string> names) =>
        await link.EvaluateAsync(Drop, _keys, [.. names.Select(name => (RedisValue)name.ToLowerInvariant())]);
}
