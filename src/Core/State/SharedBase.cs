using System.Globalization;
using Roadbalancer.Ledger;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>What the ledger holds, as a settlement left it in the shared store.</summary>
/// <param name="Records">By the lower-case name of the backend, or of the client key.</param>
/// <param name="DurableVersion">The version of the run-time changes that the ledger holds; 0 for none.</param>
internal sealed record SharedBase(IReadOnlyDictionary<string, BackendRecord> Records, long DurableVersion)
{
    private const string RecordField = "b:";

    /// <summary>What to ask <c>base_read.lua</c> for.</summary>
    /// <param name="histories">Whose hours and days are wanted too; null for those of all.</param>
    public static RedisValue[] Asking(IReadOnlyCollection<string>? histories) =>
        histories is null ? ["*"] : [.. histories.Select(name => (RedisValue)name.ToLowerInvariant())];

    /// <summary>What <c>base_read.lua</c> answered.</summary>
    public static SharedBase Decode(RedisResult[] parts)
    {
        var logs = TextsOf(parts[1]).ToDictionary(pair => pair.Field, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
        var records = new Dictionary<string, BackendRecord>(StringComparer.OrdinalIgnoreCase);
        long durable = 0;
        foreach (var (field, value) in TextsOf(parts[0]))
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

    /// <summary>What <c>base_keep.lua</c> is to put there.</summary>
    public static RedisValue[] Encode(IEnumerable<KeyValuePair<string, BackendRecord>> records, long durableVersion)
    {
        var values = new List<RedisValue> { durableVersion.ToString(CultureInfo.InvariantCulture) };
        foreach (var (name, record) in records)
        {
            values.Add(name.ToLowerInvariant());
            values.Add(record.Totals.Requests.ToString(CultureInfo.InvariantCulture));
            values.Add((record with { History = HourLog.Empty }).ToJson());
            values.Add(record.History.IsEmpty ? "" : record.History.ToString());
        }

        return [.. values];
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
}
