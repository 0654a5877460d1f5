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
        foreach (var (name, value) in KeyReport.Of(key.Limits))
        {
            item[name] = value?.DeepClone();
        }

        item["usage"] = KeyReport.Of(counts);
        return item;
    }

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
