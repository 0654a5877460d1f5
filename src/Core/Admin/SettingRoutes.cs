using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Admin;

/// <summary>The strategy, three settings, and probes on or off.</summary>
internal sealed class SettingRoutes(PoolSource pools, PoolChanges changes)
{
    private static readonly string[] Fields = ["strategy", "health_check_interval", "max_retries", "failure_threshold"];

    public ValueTask<AdminReply?> GetAsync(AdminCall call) => new(AdminReply.Data(Strategy()));

    public async ValueTask<AdminReply?> PutAsync(AdminCall call)
    {
        var (fields, refusal) = await call.ReadObjectAsync();
        if (refusal is not null)
        {
            return refusal;
        }

        if (!fields.EnumerateObject().Any())
        {
            return AdminReply.Error(StatusCodes.Status400BadRequest, "invalid_json", $"The body names none of {string.Join(", ", Fields)}.");
        }

        if (Bind(fields, out var bound) is { Count: > 0 } errors)
        {
            return AdminReply.Invalid(errors);
        }

        var made = await changes.MakeAsync(call, "strategy_changed", null, ground => Over(ground.Edits, fields, bound));
        if (made.Refusal is not null)
        {
            return made.Refusal;
        }

        var data = changes.Facts(made);
        data.Insert(0, "strategy", Strategy());
        return AdminReply.Done($"The strategy is {pools.Current.Strategy.Name}.", data);
    }

    public ValueTask<AdminReply?> StartAsync(AdminCall call) => SwitchAsync(call, true);

    public ValueTask<AdminReply?> StopAsync(AdminCall call) => SwitchAsync(call, false);

    /// <summary>By the rows of the configuration, synonyms included.</summary>
    private static List<OptionsError> Bind(JsonElement fields, out BalancerOptions bound)
    {
        var binding = new Binding(new Dictionary<string, string>());
        var root = new SettingReader(JsonSettings.Parse(Encoding.UTF8.GetBytes(fields.GetRawText()), out _)!, "", null, binding);
        var draft = new OptionsDraft();
        foreach (var (key, value) in root.Entries(""))
        {
            if (!Fields.Contains(key))
            {
                root.RefuseKey(key, 0, Fields);
            }
            else if (value.Node.Kind != SettingKind.Null)
            {
                SettingTable.Find(key)!.Apply(draft, value);
            }
        }

        bound = draft.Options;
        return binding.Errors;
    }

    private static Step Over(PoolEdits edits, JsonElement fields, BalancerOptions bound)
    {
        var known = edits.Settings ?? new SettingEdits();
        var settings = known with
        {
            HealthCheckInterval = Chosen("health_check_interval", known.HealthCheckInterval, bound.HealthCheckInterval.TotalSeconds),
            MaxRetries = Chosen("max_retries", known.MaxRetries, bound.RetryCount),
            FailureThreshold = Chosen("failure_threshold", known.FailureThreshold, bound.FailureThreshold),
        };
        var strategy = fields.TryGetProperty("strategy", out var name) ? name.ValueKind == JsonValueKind.Null ? null : StrategyTable.Get(bound.Strategy).Name : edits.Strategy;
        return settings == known && strategy == edits.Strategy ? Step.Nothing
            : Step.To(edits with { Strategy = strategy, Settings = settings == new SettingEdits() ? null : settings });

        T? Chosen<T>(string field, T? before, T given)
            where T : struct => !fields.TryGetProperty(field, out var value) ? before : value.ValueKind == JsonValueKind.Null ? null : given;
    }

    private async ValueTask<AdminReply?> SwitchAsync(AdminCall call, bool on)
    {
        var made = await changes.MakeAsync(call, on ? "health_checks_started" : "health_checks_stopped", null, ground => ground.InForce.HealthCheckEnabled == on
            ? Step.Nothing
            : Step.To(ground.Edits with { Settings = (ground.Edits.Settings ?? new()) with { HealthChecks = on } }));
        if (made.Refusal is not null)
        {
            return made.Refusal;
        }

        var data = changes.Facts(made);
        data.Insert(0, "backend", null);
        data["health_check_running"] = on;
        return AdminReply.Done($"Health checks are {(on ? "running" : "stopped")}.", data);
    }

    private JsonObject Strategy()
    {
        var (options, edits) = (pools.Current.Options, pools.Edits);
        var changed = new[]
        {
            edits.Strategy is not null, edits.Settings?.HealthCheckInterval is not null, edits.Settings?.MaxRetries is not null, edits.Settings?.FailureThreshold is not null,
        };
        return new()
        {
            ["strategy"] = pools.Current.Strategy.Name,
            ["health_check_interval"] = options.HealthCheckInterval.TotalSeconds,
            ["max_retries"] = options.RetryCount,
            ["failure_threshold"] = options.FailureThreshold,
            ["changed_fields"] = AdminJson.List(Fields.Where((_, index) => changed[index])),
            ["available_strategies"] = AdminJson.List(StrategyTable.All.Select(strategy => strategy.Name)),
        };
    }
}
