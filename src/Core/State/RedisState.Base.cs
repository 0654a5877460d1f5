using Roadbalancer.Ledger;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <content>What the ledger holds, beside what is counted: one hash with a small record a backend, one with their hours and days.</content>
internal sealed partial class RedisState
{
    /// <summary>The counters of every backend that the store has heard of, also of those that have left the pool.</summary>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask<PoolSnapshot> ReadCountersAsync(string pool)
    {
        var reply = await _link.EvaluateAsync(StateScripts.Read, KeysOf(pool).Reading, [SharedView.Pack(Clock())]);
        return reply.Fault is { } fault ? throw new SharedStateException(fault) : SharedRecords.Decode(pool, reply.Parts, null);
    }

    /// <summary>The base that statistics are read from.</summary>
    /// <param name="pool">The pool's name.</param>
    /// <param name="histories">Backends whose hours and days are wanted too; null for those of all.</param>
    /// <exception cref="SharedStateException">Redis did not answer.</exception>
    public async ValueTask<SharedBase> ReadBaseAsync(string pool, IReadOnlyCollection<string>? histories)
    {
        var reply = await _link.EvaluateAsync(StateScripts.BaseRead, BaseKeysOf(pool), SharedBase.Asking(histories));
        return reply.Fault is { } fault ? throw new SharedStateException(fault) : SharedBase.Decode(reply.Parts);
    }

    /// <summary>Puts <paramref name="records"/> there, where none that knows more is. Hours and days stay where a record has none.</summary>
    /// <param name="pool">The pool's name.</param>
    /// <exception cref="SharedStateException">Redis did not answer; it may be there all the same.</exception>
    public async ValueTask KeepBaseAsync(string pool, IReadOnlyDictionary<string, BackendRecord> records, long durableVersion)
    {
        if ((await _link.EvaluateAsync(StateScripts.BaseKeep, BaseKeysOf(pool), SharedBase.Encode(records, durableVersion))).Fault is { } fault)
        {
            throw new SharedStateException(fault);
        }
    }

    private RedisKey[] BaseKeysOf(string pool) => [$"{_prefix}{{{pool}}}:base", $"{_prefix}{{{pool}}}:history"];
}
