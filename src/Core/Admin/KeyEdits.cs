using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Turns what a caller wrote of a client key into edits of the pool, by the configuration's rules.</summary>
internal static class KeyEdits
{
    private static readonly Dictionary<string, string> NoEnvironment = [];

    /// <summary>A secret as it is made here: 256 random bits in base64url behind <c>rb-</c>.</summary>
    public static string NewSecret() => "rb-" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    /// <summary>The name and the limits that <paramref name="fields"/> hold, or what is wrong with them.</summary>
    public static AdminReply? Read(JsonElement fields, KeyLimits before, bool isNew, out string name, out KeyLimits limits)
    {
        var binding = new Binding(NoEnvironment);
        var map = new SettingReader(JsonSettings.Parse(Encoding.UTF8.GetBytes(fields.GetRawText()), out _) ?? SettingNode.Map([]), "", null, binding);
        limits = KeyLimitsTable.Bind(map, before, "name");
        name = "";
        var given = map.Entries("").FirstOrDefault(entry => entry.Key == "name").Value;
        if (!isNew)
        {
            given?.Report("cannot be changed; add a key under the new name and delete this one");
        }
        else
        {
            if (given is null || given.Node.Kind == SettingKind.Null)
            {
                map.Of("name", SettingNode.Null()).Report("is missing");
            }
            else
            {
                name = given.Name() ?? "";
                if (name == ClientKeyList.Every)
                {
                    given.Report($"'{name}' {ClientKeyList.NotAName}");
                }
            }
        }

        return binding.Errors.Count > 0 ? AdminReply.Invalid(binding.Errors) : null;
    }

    /// <summary>A key that is not there yet. The first one closes a balancer that was open to everyone.</summary>
    public static Step Add(in Ground ground, ClientKey key)
    {
        if (Find(ground, key.Name) is { } other && other.Hash != key.Hash)
        {
            return FieldEdits.Conflict("name_taken", $"There is a key '{other.Name}' already.");
        }

        return ground.InForce.ClientKeys.Length >= ClientKeyList.Most
            ? FieldEdits.Conflict("too_many_keys", $"There are {ClientKeyList.Most} keys, and no room for more.")
            : Step.To(ground.Edits.WithKey(key));
    }

    /// <summary>Other limits for a key; its secret stays, and that of a configured one goes on to be the configuration's affair.</summary>
    public static Step Change(in Ground ground, string name, JsonElement fields)
    {
        if (Find(ground, name) is not { } before)
        {
            return Unknown(ground, name);
        }

        if (Read(fields, before.Limits, isNew: false, out _, out var limits) is { } refusal)
        {
            return Step.Refuse(refusal);
        }

        var isMade = ground.Edits.Keys.Any(key => Same(key.Name, name) && key.Hash.Length > 0);
        return Step.To(ground.Edits.WithKey(before with { Limits = limits, Hash = isMade ? before.Hash : "" }));
    }

    /// <summary>Takes a key away at once; requests under way go on to their end. The last one stays: without it the balancer would be open to everyone, or, where keys are configured, closed to all.</summary>
    public static Step Remove(in Ground ground, string name)
    {
        if (Find(ground, name) is not { } before)
        {
            return Unknown(ground, name);
        }

        var who = ground.Configured.ClientKeys.IsEmpty ? "anyone" : "nobody";
        return ground.InForce.ClientKeys.Length == 1
            ? FieldEdits.Conflict("last_key", $"Key {before.Name} is the last one, and without it {who} could call; add another first (POST /keys), then delete this one.")
            : Step.To(ground.Edits.WithoutKey(before.Name, ground.Configured.ClientKeys.Any(key => Same(key.Name, name))));
    }

    private static Step Unknown(in Ground ground, string name) => Step.Refuse(AdminReply.UnknownKey(name, ground.InForce.ClientKeys));

    private static ClientKey? Find(in Ground ground, string name) => ground.InForce.ClientKeys.FirstOrDefault(key => Same(key.Name, name));

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
