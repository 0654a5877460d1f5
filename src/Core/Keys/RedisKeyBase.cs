using Roadbalancer.Ledger;
using Roadbalancer.Redis;
using Roadbalancer.State;
using StackExchange.Redis;

namespace Roadbalancer.Keys;

/// <summary>What the ledger holds of keys, as settlements leave it in Redis for the instances; in the form of the backends' base, under keys of its own.</summary>
internal sealed class RedisKeyBase(RedisLink link, string prefix, string pool)
{
    /// <summary>Records of one call, so that the store, and all that waits on the connection, is not held up by a reading or giving back of all.</summary>
    private const int AtOnce = 50;

    private static readonly RedisScript Logs = RedisScript.Compose("keys_logs");
    private static readonly RedisScript Drop = RedisScript.Compose("keys_drop");

    private readonly RedisKey[] _keys = [$"{prefix}{{{pool}}}:keybase", $"{prefix}{{{pool}}}:keyhistory"];

    /// <summary>All records without hours and days, by lower-case name; null when Redis does not answer.</summary>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>?> ReadAsync()
    {
        var reply = await link.EvaluateAsync(StateScripts.BaseRead, _keys, SharedBase.Asking([]));
        return reply.Fault is null ? SharedBase.Decode(reply.Parts).Records : null;
    }

    /// <summary>The records of <paramref name="names"/> with hours and days, by lower-case name; null when Redis did not answer, were it only once.</summary>
    public async ValueTask<IReadOnlyDictionary<string, BackendRecord>?> ReadLogsAsync(IEnumerable<string> names)
    {
        var records = new Dictionary<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
        foreach (var some in names.Chunk(AtOnce))
        {
            var reply = await link.EvaluateAsync(Logs, _keys, SharedBase.Asking(some));
            if (reply.Fault is not null)
            {
                return null;
            }

            foreach (var (name, record) in SharedBase.Decode(reply.Parts).Records)
            {
                records[name] = record;
            }
        }

        return records;
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
