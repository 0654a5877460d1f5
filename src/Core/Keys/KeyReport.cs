using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>Client keys as statistics tell of them: names, limits and what was used; nothing of a secret.</summary>
internal static class KeyReport
{
    public static OrderedDictionary<string, object?>[] Of(IEnumerable<ClientKey> keys, IReadOnlyDictionary<string, KeyCounts> counts) =>
        [.. keys.Select(key => Of(key, counts.GetValueOrDefault(key.Name)))];

    public static OrderedDictionary<string, object?> Of(ClientKey key, KeyCounts counts) => new()
    {
        ["name"] = key.Name,
        ["requests"] = counts.Requests,
        ["refusals"] = counts.Refusals,
        ["input_tokens"] = counts.InputTokens,
        ["output_tokens"] = counts.OutputTokens,
        ["limits"] = Of(key.Limits),
    };

    /// <summary>Under the names of the configuration; null where there is no limit.</summary>
    public static OrderedDictionary<string, object?> Of(KeyLimits limits) => new()
    {
        ["models"] = limits.Models.IsEmpty ? null : limits.Models.ToArray(),
        ["tags"] = limits.Tags.IsEmpty ? null : limits.Tags.ToArray(),
        ["requests_per_minute"] = limits.RequestsPerMinute,
        ["tokens_per_minute"] = limits.TokensPerMinute,
        ["max_concurrency"] = limits.MaxConcurrency,
        ["expires"] = limits.Expires,
    };
}
