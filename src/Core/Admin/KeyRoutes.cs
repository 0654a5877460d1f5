using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Client keys: listed, made, limited, taken away. A secret is told once, to who has it made, and only its hash is kept.</summary>
internal sealed class KeyRoutes(PoolSource pools, PoolChanges changes, KeyTotals totals, TimeProvider time)
{
    private const string Action = "keys_changed";

    public async ValueTask<AdminReply?> ListAsync(AdminCall call)
    {
        var keys = pools.Current.Keys.Keys;
        var counts = await totals.ReadAsync(keys.Select(key => key.Name));
        return AdminReply.Data(new JsonObject
        {
            ["keys"] = new JsonArray([.. keys.Select(key => KeyView.Item(key, counts.GetValueOrDefault(key.Name), pools, time.GetUtcNow()))]),
            ["removed"] = AdminJson.List(pools.Configured.ClientKeys.Select(key => key.Name).Where(name => pools.Current.Keys.Named(name) is null)),
        });
    }

    public async ValueTask<AdminReply?> AddAsync(AdminCall call)
    {
        var (fields, refusal) = await call.ReadObjectAsync();
        if (refusal is not null || (refusal = KeyEdits.Read(fields, KeyLimits.None, isNew: true, out var name, out var limits)) is not null)
        {
            return refusal;
        }

        var secret = KeyEdits.NewSecret();
        var key = new ClientKey(name, secret) { Limits = limits, CreatedAt = time.GetUtcNow() };
        var made = await changes.MakeAsync(call, Action, null, ground => KeyEdits.Add(ground, key));
        if (made.Refusal is not null)
        {
            return made.Refusal;
        }

        var reply = await ReplyAsync(made, $"Key {name} was added. Its secret is told here and nowhere else.", name, StatusCodes.Status201Created);
        reply.Body["data"]!.AsObject().Insert(1, "secret", secret);
        return reply with { Header = ("Location", $"{AdminEndpoint.Prefix}/keys/{Uri.EscapeDataString(name)}") };
    }

    public async ValueTask<AdminReply?> ChangeAsync(AdminCall call)
    {
        var (fields, refusal) = await call.ReadObjectAsync();
        if (refusal is not null || !fields.EnumerateObject().Any())
        {
            return refusal ?? AdminReply.Error(StatusCodes.Status400BadRequest, "invalid_json", "The body names no field to change.");
        }

        var made = await changes.MakeAsync(call, Action, null, ground => KeyEdits.Change(ground, call.Name, fields));
        return made.Refusal ?? await ReplyAsync(made, $"Key {call.Name} was changed.", call.Name);
    }

    public async ValueTask<AdminReply?> RemoveAsync(AdminCall call)
    {
        var made = await changes.MakeAsync(call, Action, null, ground => KeyEdits.Remove(ground, call.Name));
        return made.Refusal ?? await ReplyAsync(made, $"Key {call.Name} was removed.", call.Name);
    }

    private async ValueTask<AdminReply> ReplyAsync(PoolChanges.Made made, string message, string name, int status = StatusCodes.Status200OK)
    {
        var counts = await totals.ReadAsync([name]);
        var data = changes.Facts(made);
        data.Insert(0, "key", pools.Current.Keys.Named(name) is { } key ? KeyView.Item(key, counts.GetValueOrDefault(name), pools, time.GetUtcNow()) : null);
        return AdminReply.Done(message, data, status);
    }
}
