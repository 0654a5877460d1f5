using System.Globalization;
using Roadbalancer.Redis;
using Roadbalancer.Strategies;
using StackExchange.Redis;

namespace Roadbalancer.Keys;

/// <summary>What all instances have counted of their keys, in one hash. A batch that is sent again counts once.</summary>
internal sealed class RedisKeyCounts(RedisLink link, string prefix, string pool, Chance chance)
{
    private static readonly string[] Kinds = ["requests:", "refusals:", "input:", "output:"];
    private static readonly RedisScript Count = RedisScript.Compose("keys_count");
    private static readonly RedisScript Read = RedisScript.Compose("keys_read");
    private static readonly RedisScript Forget = RedisScript.Compose("keys_forget");

    private readonly RedisKey _counts = $"{prefix}{{{pool}}}:keycounts";
    private readonly RedisKey _batch = $"{prefix}{{{pool}}}:keycounts:{chance.NextBits():x16}";

    /// <summary>True when <paramref name="counted"/> is in the store; false leaves it open, and the same number is to be sent again.</summary>
    public async ValueTask<bool> AddAsync(long number, IReadOnlyDictionary<string, KeyCounts> counted)
    {
        var values = new List<RedisValue>(1 + (8 * counted.Count)) { number };
        foreach (var (name, counts) in counted)
        {
            var field = name.ToLowerInvariant();
            long[] more = [counts.Requests, counts.Refusals, counts.InputTokens, counts.OutputTokens];
            for (var kind = 0; kind < Kinds.Length; kind++)
            {
                if (more[kind] != 0)
                {
                    values.Add(Kinds[kind] + field);
                    values.Add(more[kind]);
                }
            }
        }

        return (await link.EvaluateAsync(Count, [_counts, _batch], [.. values])).Fault is null;
    }

    /// <summary>What has been counted, by lower-case name; null when Redis does not answer.</summary>
    public async ValueTask<Dictionary<string, KeyCounts>?> ReadAsync()
    {
        var reply = await link.EvaluateAsync(Read, [_counts], []);
        if (reply.Fault is not null)
        {
            return null;
        }

        var parts = reply.Parts;
        var counts = new Dictionary<string, KeyCounts>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i + 1 < parts.Length; i += 2)
        {
            var field = (string)parts[i]!;
            var kind = Array.FindIndex(Kinds, kind => field.StartsWith(kind, StringComparison.Ordinal));
            if (kind >= 0 && long.TryParse((string?)parts[i + 1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
            {
                var name = field[Kinds[kind].Length..];
                counts[name] = counts.GetValueOrDefault(name) + new KeyCounts(
                    kind == 0 ? value : 0, kind == 1 ? value : 0, kind == 2 ? value : 0, kind == 3 ? value : 0);
            }
        }

        return counts;
    }

    public async ValueTask ForgetAsync(string name) =>
        await link.EvaluateAsync(Forget, [_counts], [.. Kinds.Select(kind => (RedisValue)(kind + name.ToLowerInvariant()))]);
}
