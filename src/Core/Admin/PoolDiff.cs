using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>What differs between two definitions of a pool, for events and the audit; secrets are <c>***</c>.</summary>
/// <param name="Backends">Each <c>{"name","before","after"}</c> with the fields that differ; null where it was not, or is no more.</param>
/// <param name="SettingsBefore">The settings that differ, as they were.</param>
/// <param name="SettingsAfter">The settings that differ, as they are.</param>
internal sealed record PoolDiff(JsonArray Backends, JsonObject SettingsBefore, JsonObject SettingsAfter)
{
    public static PoolDiff Between(BalancerOptions before, BalancerOptions after)
    {
        var backends = new JsonArray();
        foreach (var name in before.Backends.Concat(after.Backends).Select(backend => backend.Name).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (Differences(Find(before, name), Find(after, name)) is var (old, young))
            {
                backends.Add(new JsonObject { ["name"] = name, ["before"] = old, ["after"] = young });
            }
        }

        var (settingsBefore, settingsAfter) = Differing(Settings(before), Settings(after));
        var (keysBefore, keysAfter) = Differing(Keys(before, after), Keys(after, before));
        if (keysBefore.Count > 0)
        {
            (settingsBefore["keys"], settingsAfter["keys"]) = (keysBefore, keysAfter);
        }

        return new(backends, settingsBefore, settingsAfter);
    }

    public bool IsEmpty => Backends.Count == 0 && SettingsBefore.Count == 0;

    /// <summary>One side for a log line: the fields of the only backend, or everything.</summary>
    /// <param name="side"><c>before</c> or <c>after</c>.</param>
    public string Text(string side)
    {
        var text = new JsonObject();
        foreach (var backend in Backends)
        {
            text[(string)backend!["name"]!] = backend[side]?.DeepClone();
        }

        foreach (var (key, value) in side == "before" ? SettingsBefore : SettingsAfter)
        {
            text[key] = value?.DeepClone();
        }

        var shown = Backends.Count == 1 && text.Count == 1 ? Backends[0]![side] : text;
        return shown is null ? "nothing" : shown.ToJsonString(AdminJson.Written);
    }

    /// <summary>The settings that can be changed at run time.</summary>
    public static JsonObject Settings(BalancerOptions options) => new()
    {
        ["strategy"] = options.Strategy,
        ["health_check_interval"] = options.HealthCheckInterval.TotalSeconds,
        ["max_retries"] = options.RetryCount,
        ["failure_threshold"] = options.FailureThreshold,
        ["health_check_running"] = options.HealthCheckEnabled,
    };

    /// <summary>The client keys of either side by name; null where there is none.</summary>
    private static JsonObject Keys(BalancerOptions side, BalancerOptions other)
    {
        var keys = new JsonObject();
        foreach (var key in side.ClientKeys)
        {
            keys[key.Name] = KeyReport.Of(key.Limits);
            if (other.ClientKeys.FirstOrDefault(known => known.Name == key.Name) is { } changed && changed.Hash != key.Hash)
            {
                // Of a secret it is told that it changed, and no more.
                keys[key.Name]!["secret"] = string.CompareOrdinal(key.Hash, changed.Hash) < 0 ? "***" : "****";
            }
        }

        foreach (var key in other.ClientKeys)
        {
            keys.TryAdd(key.Name, null);
        }

        return keys;
    }

    private static Backend? Find(BalancerOptions options, string name) =>
        options.Backends.FirstOrDefault(backend => backend.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static (JsonObject? Before, JsonObject? After)? Differences(Backend? before, Backend? after)
    {
        if (before is null || after is null)
        {
            return (before is null ? null : BackendView.Fields(before), after is null ? null : BackendView.Fields(after));
        }

        var (old, young) = Differing(BackendView.Fields(before), BackendView.Fields(after));
        Hide("api_key", before.ApiKey, after.ApiKey);
        Hide("headers", string.Join('\n', before.Headers), string.Join('\n', after.Headers));
        Hide("query", before.Query, after.Query);
        return old.Count == 0 ? null : (old, young);

        void Hide(string key, string? one, string? other)
        {
            if (one != other && !old.ContainsKey(key))
            {
                (old[key], young[key]) = (string.IsNullOrEmpty(one) ? null : "***", string.IsNullOrEmpty(other) ? null : "***");
            }
        }
    }

    private static (JsonObject Before, JsonObject After) Differing(JsonObject before, JsonObject after)
    {
        var (old, young) = (new JsonObject(), new JsonObject());
        foreach (var (key, value) in before)
        {
            if (!JsonNode.DeepEquals(value, after[key]))
            {
                (old[key], young[key]) = (value?.DeepClone(), after[key]?.DeepClone());
            }
        }

        return (old, young);
    }
}
