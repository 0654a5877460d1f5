using System.Text.Json.Nodes;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Client keys as the API tells of them; nothing of a secret.</summary>
internal static class KeyView
{
    public static JsonObject Item(ClientKey key, KeyCounts counts, PoolSource pools, DateTimeOffset now)
    {
        var edit = pools.Edits.Keys.FirstOrDefault(edit => Same(edit.Name, key.Name));
        var item = new JsonObject
        {
            ["name"] = key.Name,
            ["source"] = edit is null ? "configured" : edit.Hash.Length == 0 ? "changed" : "added",
            ["created_at"] = key.CreatedAt is { } made ? AdminJson.Time(made) : null,
            ["expired"] = now >= key.Limits.Expires,
        };
        foreach (var (name, value) in Limits(key.Limits))
        {
            item[name] = value?.DeepClone();
        }

        item["usage"] = new JsonObject
        {
            ["requests"] = counts.Requests,
            ["refusals"] = counts.Refusals,
            ["input_tokens"] = counts.InputTokens,
            ["output_tokens"] = counts.OutputTokens,
        };
        return item;
    }

    /// <summary>Under the names of the configuration; null or empty where there is no limit.</summary>
    public static JsonObject Limits(KeyLimits limits) => new()
    {
        ["models"] = AdminJson.List(limits.Models),
        ["tags"] = AdminJson.List(limits.Tags),
        ["requests_per_minute"] = limits.RequestsPerMinute,
        ["tokens_per_minute"] = limits.TokensPerMinute,
        ["max_concurrency"] = limits.MaxConcurrency,
        ["expires"] = limits.Expires is { } end ? AdminJson.Time(end) : null,
    };

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
