using System.Text.Json.Nodes;
using Roadbalancer.Backends;
using Roadbalancer.Health;

namespace Roadbalancer.Admin;

/// <summary>A backend as replies show it: its configuration without anything secret, and its metrics.</summary>
internal static class BackendView
{
    /// <summary>Every key of the configuration in the configuration's words; of headers and query the names, of the key whether there is one.</summary>
    public static JsonObject Fields(Backend backend) => new()
    {
        ["name"] = backend.Name,
        ["url"] = backend.BaseUrl.GetLeftPart(UriPartial.Path),
        ["model_name"] = backend.ModelName,
        ["models"] = new JsonObject(backend.Models.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))),
        ["has_api_key"] = backend.ApiKey is not null,
        ["auth"] = backend.Auth switch { BackendAuth.ApiKey => "api-key", BackendAuth.None => "none", _ => "bearer" },
        ["headers"] = AdminJson.List(backend.Headers.Select(header => header.Key)),
        ["query"] = AdminJson.List(QueryNames(backend)),
        ["weight"] = backend.Weight,
        ["max_connections"] = backend.MaxConnections,
        ["priority"] = backend.Priority,
        ["tags"] = AdminJson.List(backend.Tags.Order(StringComparer.Ordinal)),
        ["max_tokens"] = backend.MaxTokens,
        ["temperature"] = backend.Temperature,
        ["enabled"] = backend.Enabled,
        ["health_path"] = backend.HealthPath.Split('?')[0],
        ["continue_final_message"] = backend.Continuation == ContinuationForm.ContinueFinalMessage,
        ["prefix"] = backend.Continuation == ContinuationForm.Prefix,
        ["timeout"] = backend.Timeout.TotalSeconds,
        ["connect_timeout"] = backend.ConnectTimeout.TotalSeconds,
        ["ttft_timeout"] = backend.FirstTokenTimeout.TotalSeconds,
        ["stream_idle_timeout"] = backend.StreamIdleTimeout.TotalSeconds,
        ["draining"] = backend.Draining,
    };

    /// <summary>One item of <c>GET /backends</c>.</summary>
    public static JsonObject Item(Standing standing, int index, PoolSource pools)
    {
        var backend = standing.Pool.Backends[index];
        var item = Fields(backend);
        item["draining"] = backend.Draining || backend.Weight == 0;
        var changed = ChangedFields(backend, pools.Edits).ToList();
        var isConfigured = pools.Configured.Backends.Any(other => other.Name.Equals(backend.Name, StringComparison.OrdinalIgnoreCase));
        item["source"] = !isConfigured ? "added" : changed.Count > 0 ? "changed" : "configured";
        item["changed_fields"] = AdminJson.List(isConfigured ? changed : []);
        item["metrics"] = Metrics(standing, index);
        return item;
    }

    /// <summary>One item of <c>GET /metrics</c>.</summary>
    public static JsonObject Metrics(Standing standing, int index)
    {
        var backend = standing.Pool.Backends[index];
        var (vitals, totals) = (standing.Of(index).Vitals, standing.Of(index).Totals);
        var nowMs = standing.Snapshot.NowMs;
        var metrics = new JsonObject
        {
            ["name"] = backend.Name,
            ["status"] = standing.StatusOf(index),
            ["enabled"] = backend.Enabled,
            ["draining"] = backend.Draining || backend.Weight == 0,
            ["weight"] = backend.Weight,
            ["priority"] = backend.Priority,
            ["active_connections"] = vitals.InFlight,
            ["max_connections"] = backend.MaxConnections,
        };
        AdminJson.Count(metrics, totals);
        metrics["consecutive_failures"] = vitals.ConsecutiveFailures;
        metrics["last_error"] = totals.LastError;
        metrics["last_error_time"] = AdminJson.Time(totals.LastErrorAtUnixMs);
        metrics["last_check_time"] = AdminJson.Time(totals.LastCheckAtUnixMs);
        metrics["circuit"] = vitals.Circuit switch { CircuitState.Open => "open", CircuitState.Trial => "trial", _ => "closed" };
        metrics["trips"] = vitals.Trips;
        metrics["cooldown_remaining"] = vitals.Circuit == CircuitState.Closed ? 0 : AdminJson.Seconds(Math.Max(0, vitals.OpenUntilMs - nowMs));
        metrics["parked_remaining"] = AdminJson.Seconds(Math.Max(0, vitals.ParkedUntilMs - nowMs));
        metrics["absent_models"] = AdminJson.List(vitals.AbsentModels?.Where(absent => absent.Value > nowMs).Select(absent => absent.Key) ?? []);
        return metrics;
    }

    private static IEnumerable<string> ChangedFields(Backend backend, PoolEdits edits)
    {
        var fields = edits.EditOf(backend.Name)?.Fields.EnumerateObject().Select(field => field.Name) ?? [];
        return backend.Draining ? fields.Append("draining") : fields;
    }

    private static IEnumerable<string> QueryNames(Backend backend) =>
        backend.Query.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(pair => Uri.UnescapeDataString(pair.Split('=')[0]));
}
