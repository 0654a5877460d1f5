using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Backends: listed, added, changed, taken out, switched.</summary>
internal sealed class BackendRoutes(PoolSource pools, PoolChanges changes, StandingReader reader, HostRules hosts, TimeProvider time)
{
    /// <summary>A reply must come before the Functions host gives up on a silent connection, which it does after 240 s.</summary>
    private const double LongestDrain = 180;

    private static readonly TimeSpan DrainPoll = TimeSpan.FromMilliseconds(100);

    public async ValueTask<AdminReply?> ListAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        var backends = new JsonArray([.. standing.Pool.Backends.Select((_, index) => BackendView.Item(standing, index, pools))]);
        var removed = pools.Configured.Backends.Select(backend => backend.Name).Where(name => standing.Pool.IndexOf(name) < 0);
        return AdminReply.Data(new JsonObject { ["backends"] = backends, ["removed"] = AdminJson.List(removed) });
    }

    public async ValueTask<AdminReply?> GetAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        return standing.Pool.IndexOf(call.Name) is >= 0 and var index
            ? AdminReply.Data(BackendView.Item(standing, index, pools))
            : AdminReply.UnknownBackend(call.Name, standing.Pool.Backends.Select(backend => backend.Name));
    }

    public async ValueTask<AdminReply?> AddAsync(AdminCall call)
    {
        var (fields, refusal) = await call.ReadObjectAsync();
        if (refusal is not null || (refusal = await CheckHostAsync(call, null, fields)) is not null)
        {
            return refusal;
        }

        var name = BackendFields.Bind(null, fields, null, pools.Current.Options, out _)!.Name;
        var made = await changes.MakeAsync(call, "backend_added", name, ground => FieldEdits.Add(ground, fields, out name));
        return made.Refusal ?? await changes.ReplyAsync(call, made, $"Backend {name} was added.", name, StatusCodes.Status201Created) with
        {
            Header = ("Location", $"{AdminEndpoint.Prefix}/backends/{Uri.EscapeDataString(name)}"),
        };
    }

    public async ValueTask<AdminReply?> ChangeAsync(AdminCall call)
    {
        var (fields, refusal) = await call.ReadObjectAsync();
        if (refusal is not null)
        {
            return refusal;
        }

        if (!fields.EnumerateObject().Any())
        {
            return AdminReply.Error(StatusCodes.Status400BadRequest, "invalid_json", "The body names no field to change.");
        }

        var pool = pools.Current;
        if (pool.IndexOf(call.Name) is var index && index < 0)
        {
            return AdminReply.UnknownBackend(call.Name, pool.Backends.Select(backend => backend.Name));
        }

        if (fields.TryGetProperty("name", out _))
        {
            BackendFields.Bind(call.Name, fields, pool.Backends[index], pool.Options, out var others);
            return AdminReply.Invalid([new("name", null, "cannot be changed; add a backend under the new name and delete this one"), .. others.Where(error => error.Key != "name")]);
        }

        if (fields.TryGetProperty("url", out _) && (refusal = await CheckHostAsync(call, pool.Backends[index], fields)) is not null)
        {
            return refusal;
        }

        return await MakeAsync(call, "backend_changed", "was changed", ground => FieldEdits.Change(ground, call.Name, fields));
    }

    public ValueTask<AdminReply?> EnableAsync(AdminCall call) =>
        MakeAsync(call, "backend_enabled", "is enabled", ground => FieldEdits.Switch(ground, call.Name, enabled: true, draining: false));

    public ValueTask<AdminReply?> DisableAsync(AdminCall call) => MakeAsync(call, "backend_disabled", "is disabled",
        ground => FieldEdits.Switch(ground, call.Name, enabled: false, draining: ground.Find(call.Name)?.Draining ?? false));

    public ValueTask<AdminReply?> DrainAsync(AdminCall call) => MakeAsync(call, "backend_drained", "takes no new requests", ground => Drain(ground, call.Name));

    public ValueTask<AdminReply?> RestoreAsync(AdminCall call) => MakeAsync(call, "backend_restored", "is as configured", ground =>
        ground.FindConfigured(call.Name) is null
            ? ground.Find(call.Name) is null ? ground.Unknown(call.Name) : FieldEdits.Conflict("not_configured", $"Backend {call.Name} was added here; the configuration has none of that name.")
            : ground.Edits.Restored(call.Name) is var restored && restored.ToJson() == ground.Edits.ToJson() ? Step.Nothing : Step.To(restored));

    public async ValueTask<AdminReply?> RemoveAsync(AdminCall call)
    {
        double seconds = 0;
        if (call.Parameter("drain") is { } text && (!double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out seconds) || seconds is not (>= 0 and <= LongestDrain)))
        {
            return AdminReply.InvalidParameter("drain", $"'{AdminReply.Shown(text)}' is not valid; must be a number from 0 to {LongestDrain} (seconds)");
        }

        if (seconds > 0)
        {
            var drained = await changes.MakeAsync(call, "backend_drained", call.Name, ground => IsLast(ground, call.Name) ?? Drain(ground, call.Name));
            if (drained.Refusal is not null)
            {
                return drained.Refusal;
            }

            await EmptyAsync(call, TimeSpan.FromSeconds(seconds));
        }

        var left = await InFlightAsync(call);
        var name = call.Name;
        var made = await changes.MakeAsync(call, "backend_removed", NameOf(name), ground => IsLast(ground, name)
            ?? (ground.FindConfigured(name) is null ? Step.To(ground.Edits.Restored(name)) : Step.To(ground.Edits.Without(ground.Find(name)!.Name))));
        if (made.Refusal is not null)
        {
            return made.Refusal;
        }

        var reply = await changes.ReplyAsync(call, made, $"Backend {name} was removed.", null);
        reply.Body["data"]!["in_flight"] = left;
        return reply;
    }

    private static Step Drain(in Ground ground, string name) => FieldEdits.Switch(ground, name, enabled: null, draining: true);

    private static Step? IsLast(in Ground ground, string name) =>
        ground.Find(name) is null ? ground.Unknown(name)
        : ground.InForce.Backends.Length == 1 ? FieldEdits.Conflict("last_backend", $"Backend {name} is the last one; disable or drain it instead, or add another first.")
        : null;

    /// <summary>The name as the pool has it.</summary>
    private string NameOf(string name) => pools.Current.IndexOf(name) is >= 0 and var index ? pools.Current.Backends[index].Name : name;

    private async ValueTask<AdminReply?> MakeAsync(AdminCall call, string action, string what, Func<Ground, Step> change)
    {
        var made = await changes.MakeAsync(call, action, NameOf(call.Name), change);
        var name = NameOf(call.Name);
        return made.Refusal ?? await changes.ReplyAsync(call, made, $"Backend {name} {what}.", name);
    }

    /// <summary>Fields that do not bind are left to the change, which tells of all their errors.</summary>
    private async ValueTask<AdminReply?> CheckHostAsync(AdminCall call, Backend? under, JsonElement fields) =>
        BackendFields.Bind(under?.Name, fields, under, pools.Current.Options, out var errors) is { } backend
            ? await hosts.CheckAsync(backend.BaseUrl, pools.Current.Options, call.Left)
            : AdminReply.Invalid(errors);

    private async ValueTask EmptyAsync(AdminCall call, TimeSpan limit)
    {
        var began = time.GetTimestamp();
        while (await InFlightAsync(call) > 0 && time.GetElapsedTime(began) < limit)
        {
            await Task.Delay(DrainPoll, time, call.Left);
        }
    }

    private async ValueTask<int> InFlightAsync(AdminCall call) => (await reader.ReadAsync(call.Left)).Snapshot.For(call.Name).Vitals.InFlight;
}
