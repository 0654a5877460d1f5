using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Turns what a caller wrote of a backend into edits of the pool, by the configuration's rules.</summary>
internal static class FieldEdits
{
    private static readonly string[] Forms = ["continue_final_message", "prefix"];

    /// <summary>A backend that is not there yet. <paramref name="name"/> is its name afterwards.</summary>
    public static Step Add(in Ground ground, JsonElement fields, out string name)
    {
        var backend = BackendFields.Bind(null, fields, null, ground.InForce, out var errors);
        name = backend?.Name ?? "";
        if (backend is null)
        {
            return Step.Refuse(AdminReply.Invalid(errors));
        }

        if (ground.Find(name) is { } other)
        {
            return Conflict("name_taken", $"There is a backend '{other.Name}' already.");
        }

        return ground.InForce.Backends.Length >= SettingLimits.Backends
            ? Conflict("too_many_backends", $"There are {SettingLimits.Backends} backends, and no room for more.")
            : Step.To(ground.Edits.With(new BackendEdit(name, IsWhole: true, Merged(null, fields))));
    }

    /// <summary>Changed fields of the backend called <paramref name="name"/>; null in one takes it back.</summary>
    public static Step Change(in Ground ground, string name, JsonElement fields)
    {
        if (ground.Find(name) is not { } before)
        {
            return ground.Unknown(name);
        }

        var (known, configured) = (ground.Edits.EditOf(name), ground.FindConfigured(name));
        var isWhole = known?.IsWhole ?? configured is null;
        var edit = new BackendEdit(before.Name, isWhole, Merged(known?.Fields, fields));
        if (BackendFields.Bind(before.Name, edit.Fields, isWhole ? null : configured, ground.Configured, out var errors) is not { } after)
        {
            return Step.Refuse(AdminReply.Invalid(errors));
        }

        var carried = Carried(before, after, fields) ?? (isWhole || configured is null ? null : Carried(configured, after, edit.Fields));
        if (carried is { } secret)
        {
            return Step.Refuse(AdminReply.InvalidField(secret, "must be given anew together with a url at another host: what was sent to the one is not sent to the other"));
        }

        if (after.Weight == 0 && before.Weight > 0 && ground.InForce.Backends.Count(other => other.Weight > 0) == 1)
        {
            return Conflict("last_backend", $"Backend {before.Name} is the last one with a weight; drain or disable it instead.");
        }

        return Step.To(!isWhole && !edit.Fields.EnumerateObject().Any() ? ground.Edits with { Edited = ground.Edits.Edited.Remove(known!) } : ground.Edits.With(edit));
    }

    /// <summary>Enabled or not, draining or not; nothing where it is so.</summary>
    public static Step Switch(in Ground ground, string name, bool? enabled, bool draining)
    {
        if (ground.Find(name) is not { } backend)
        {
            return ground.Unknown(name);
        }

        var edits = ground.Edits;
        if (enabled is { } wanted && backend.Enabled != wanted)
        {
            var isConfigured = ground.FindConfigured(name)?.Enabled == wanted && edits.EditOf(name) is not { IsWhole: true };
            using var field = JsonDocument.Parse(isConfigured ? """{"enabled":null}""" : wanted ? """{"enabled":true}""" : """{"enabled":false}""");
            if (Change(ground, name, field.RootElement) is var step && step.Edits is null)
            {
                return step;
            }

            edits = step.Edits;
        }

        return backend.Draining != draining ? Step.To(edits.WithDraining(backend.Name, draining)) : edits == ground.Edits ? Step.Nothing : Step.To(edits);
    }

    public static Step Conflict(string code, string message) => Step.Refuse(AdminReply.Error(StatusCodes.Status409Conflict, code, message));

    /// <summary>The first field whose secret would go to a host that it was not given for; null for none.</summary>
    private static string? Carried(Backend from, Backend to, JsonElement given)
    {
        if (from.BaseUrl.GetLeftPart(UriPartial.Authority) == to.BaseUrl.GetLeftPart(UriPartial.Authority))
        {
            return null;
        }

        return from.ApiKey is not null && from.ApiKey == to.ApiKey && !IsGiven("api_key") ? "api_key"
            : from.Headers.Intersect(to.Headers).Any() && !IsGiven("headers") ? "headers"
            : from.Query.Split('&').Intersect(to.Query.Split('&')).Any(pair => pair.Length > 0) && !IsGiven("query") ? "query"
            : from.HealthPath.Contains('?', StringComparison.Ordinal) && from.HealthPath == to.HealthPath && !IsGiven("health_path") ? "health_path"
            : null;

        bool IsGiven(string field) => given.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null;
    }

    private static JsonElement Merged(JsonElement? known, JsonElement given)
    {
        var merged = known is { } fields ? JsonObject.Create(fields)! : [];
        foreach (var field in given.EnumerateObject())
        {
            merged.Remove(field.Name);
            if (field.Name != "name" && field.Value.ValueKind != JsonValueKind.Null)
            {
                merged[field.Name] = JsonNode.Parse(field.Value.GetRawText());
            }

            // The two forms exclude each other: the newer one takes the other's place.
            if (Forms.Contains(field.Name) && field.Value.ValueKind == JsonValueKind.True && Forms.Single(form => form != field.Name) is var other && !given.TryGetProperty(other, out _))
            {
                merged.Remove(other);
            }
        }

        using var document = JsonDocument.Parse(merged.ToJsonString());
        return document.RootElement.Clone();
    }
}
