using System.Text.Json.Nodes;
using Roadbalancer.Admin;
using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>Client keys as statistics and the management API tell of them: names, limits and what was used; nothing of a secret.</summary>
internal static class KeyReport
{
    public static JsonArray Of(IEnumerable<ClientKey> keys, IReadOnlyDictionary<string, KeyCounts> counts) =>
        [.. keys.Select(key => Of(key, counts.GetValueOrDefault(key.Name)))];

    public static JsonObject Of(ClientKey key, KeyCounts counts)
    {
        var told = Of(counts);
        told.Insert(0, "name", key.Name);
        told["limits"] = Of(key.Limits);
        return told;
    }

    public static JsonObject Of(KeyCounts counts) => new()
    {
        ["requests"] = counts.Requests,
        ["refusals"] = counts.Refusals,
        ["input_tokens"] = counts.InputTokens,
        ["output_tokens"] = counts.OutputTokens,
    };

    /// <summary>Under the names of the configuration; null or empty where there is no limit.</summary>
    public static JsonObject Of(KeyLimits limits) => new()
    {
        ["models"] = AdminJson.List(limits.Models),
        ["tags"] = AdminJson.List(limits.Tags),
        ["requests_per_minute"] = limits.RequestsPerMinute,
        ["tokens_per_minute"] = limits.TokensPerMinute,
        ["max_concurrency"] = limits.MaxConcurrency,
        ["expires"] = limits.Expires is { } end ? AdminJson.Time(end) : null,
    };
}
