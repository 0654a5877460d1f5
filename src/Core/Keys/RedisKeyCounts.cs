using System.Globalization;
using Roadbalancer.Redis;
using Roadbalancer.Strategies;
using StackExchange.Redis;

namespace Roadbalancer.Keys;

/// <summary>What all instances have counted of their keys, in one hash. A batch that is sent again counts once.</summary>
internal sealed class RedisKeyCounts(RedisLink link, string prefix, string pool, Chance chance)
{
    private const string Birth = "birth:";
    private static readonly string[] Kinds = ["requests:", "refusals:", "input:", "output:"];
    private static readonly RedisScript Count = RedisScript.Compose("keys_count");
    private static readonly RedisScript Read = RedisScript.Compose("keys_read");
    private static readonly RedisScript Forget = RedisScript.Compose("keys_forget");

    private readonly RedisKey _counts = $"{prefix}{{{pool}}}:keycounts";
    private readonly RedisKey _batch = $"{prefix}{{{pool}}}:keycounts:{chance.NextBits():x16}";

    /// <summary>True when <paramref name="counted"/> is in the store; false leaves it open, and the same number is to be sent again.</summary>
    public async ValueTask<bool> AddAsync(long number, IReadOnlyDictionary<string, KeyCounts> counted)
    {
        RedisValue[] values = [number, .. counted.SelectMany(pair => Values(pair.Key, pair.Value))];
        return (await link.EvaluateAsync(Count, [_counts, _batch], values)).Fault is null;
    }

    /// <summary>What has been counted; null when Redis does not answer.</summary>
    public async ValueTask<StoredCounts?> ReadAsync()
    {
        var reply = await link.EvaluateAsync(Read, [_counts, _batch], []);
        if (reply.Fault is not null)
        {
            return null;
        }

        _ = long.TryParse((string?)reply.Parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var lastBatch);
        return new StoredCounts(Decode((RedisResult[])reply.Parts[0]!), lastBatch);
    }

    /// <summary>Drops a key's counters, unless they are others than <paramref name="counted"/> by now, or Redis does not answer.</summary>
    public async ValueTask ForgetAsync(string name, CountedKey counted)
    {
        var values = Values(name, counted.Counts).ToList();
        values.Insert(1, counted.Birth);
        await link.EvaluateAsync(Forget, [_counts], [.. values]);
    }

    private static Dictionary<string, CountedKey> Decode(RedisResult[] parts)
    {
        var counts = new Dictionary<string, CountedKey>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i + 1 < parts.Length; i += 2)
        {
            if (!long.TryParse((string?)parts[i + 1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
            {
                continue;
            }

            var field = (string)parts[i]!;
            var kind = Array.FindIndex(Kinds, kind => field.StartsWith(kind, StringComparison.Ordinal));
            if (kind >= 0)
            {
                var name = field[Kinds[kind].Length..];
                var known = counts.GetValueOrDefault(name);
                counts[name] = known with { Counts = known.Counts + new KeyCounts(kind == 0 ? value : 0, kind == 1 ? value : 0, kind == 2 ? value : 0, kind == 3 ? value : 0) };
            }
            else if (field.StartsWith(Birth, StringComparison.Ordinal))
            {
                counts[field[Birth.Length..]] = counts.GetValueOrDefault(field[Birth.Length..]) with { Birth = value };
            }
        }

        // Counters without a birth were begun by a program that gave them none: they are told from the next count on, which gives them one.
        return counts.Where(pair => pair.Value.Birth != 0).ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.OrdinalIgnoreCase);
    }

    private static IEnumerable<RedisValue> Values(string name, KeyCounts counts) =>
        [name.ToLowerInvariant(), counts.Requests, counts.Refusals, counts.InputTokens, counts.OutputTokens];
}

/// <summary>What the store holds of keys.</summary>
/// <param name="Keys">What has been counted, by name, whatever its case.</param>
/// <param name="LastBatch">The number of the last batch of this instance that is among it; 0 for none, or none for an hour.</param>
internal sealed record StoredCounts(Dictionary<string, CountedKey> Keys, long LastBatch);
