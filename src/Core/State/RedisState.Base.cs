using System.Globalization;
using Roadbalancer.Ledger;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>What the ledger holds, as a settlement left it in the shared store.</summary>
/// <param name="Records">By the backend's lower-case name.</param>
/// <param name="DurableVersion">The version of the run-time changes that the ledger holds; 0 for none.</param>
internal sealed record SharedBase(IReadOnlyDictionary<string, BackendRecord> Records, long DurableVersion);

/// <content>What the ledger holds, beside what is counted: one hash with a small record a backend, one with their hours and days.</content>
internal sealed partial class RedisState
{
    private const string RecordField = "b:";

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
        var reply = await _link.EvaluateAsync(
            StateScripts.BaseRead, BaseKeysOf(pool), histories is null ? ["*"] : [.. histories.Select(name => (RedisValue)name.ToLowerInvariant())]);
        if (reply.Fault is { } fault)
        {
            throw new SharedStateException(fault);
        }

        var logs = TextsOf(reply.Parts[1]).ToDictionary(pair => pair.Field, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
        var records = new Dictionary<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
        long durable = 0;
        foreach (var (field, value) in TextsOf(reply.Parts[0]))
        {
            if (field == "registry")
            {
                _ = long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out durable);
            }
            else if (field.StartsWith(RecordField, StringComparison.Ordinal) && Record(value, logs.GetValueOrDefault(field[RecordField.Length..])) is { } record)
            {
                records[field[RecordField.Length..]] = record;
            }
        }

        return new SharedBase(records, durable);
    }

    /// <summary>Puts <paramref name="records"/> there, where none that knows more is. Hours and days stay where a record has none.</summary>
    /// <param name="pool">The pool's name.</param>
    /// <exception cref="SharedStateException">Redis did not answer; it may be there all the same.</exception>
    public async ValueTask KeepBaseAsync(string pool, IReadOnlyDictionary<string, BackendRecord> records, long durableVersion)
    {
        var values = new List<RedisValue> { durableVersion.ToString(CultureInfo.InvariantCulture) };
        foreach (var (name, record) in records)
        {
            values.Add(name.ToLowerInvariant());
            values.Add(record.Totals.Requests.ToString(CultureInfo.InvariantCulture));
            values.Add((record with { History = HourLog.Empty }).ToJson());
            values.Add(record.History.IsEmpty ? "" : record.History.ToString());
        }

        if ((await _link.EvaluateAsync(StateScripts.BaseKeep, BaseKeysOf(pool), [.. values])).Fault is { } fault)
        {
            throw new SharedStateException(fault);
        }
    }

    private static BackendRecord? Record(string value, string? history)
    {
        try
        {
            var record = BackendRecord.Parse(value[(value.IndexOf(' ', StringComparison.Ordinal) + 1)..]);
            return string.IsNullOrEmpty(history) ? record : record with { History = HourLog.Parse(history) };
        }
        catch (Exception exception) when (exception is FormatException or NotSupportedException)
        {
            // A newer program's, or damaged: the next settlement brings it again.
            return null;
        }
    }

    private static IEnumerable<(string Field, string Value)> TextsOf(RedisResult hash)
    {
        var flat = (RedisResult[])hash!;
        for (var i = 0; i + 1 < flat.Length; i += 2)
        {
            yield return ((string)flat[i]!, (string)flat[i + 1]!);
        }
    }

    private RedisKey[] BaseKeysOf(string pool) => [$"{_prefix}{{{pool}}}:base", $"{_prefix}{{{pool}}}:history"];
}
