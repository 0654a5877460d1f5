using System.Collections.Immutable;

namespace Roadbalancer.Options;

/// <summary>
/// The keys that clients may present: a comma list or list of <c>name=key</c> or bare keys (named <c>key-1</c>, <c>key-2</c> by position),
/// or a map of name to key. A key may be an <c>env:NAME</c> reference. In place of a key a map of <c>key</c> and limits
/// (<see cref="KeyLimitsTable"/>) can stand, in a list with a <c>name</c> in it; a variable holds it as JSON. <c>ROADBALANCER_API_KEYS</c>, key <c>api_keys</c>.
/// </summary>
internal static class ClientKeyList
{
    /// <summary>Keys in a list, and by API at run time.</summary>
    public const int Most = 1_000;

    /// <summary>Asks for every key where a name may stand, so that none can be called so.</summary>
    public const string Every = "*";

    /// <summary>What is wrong with <see cref="Every"/> as a name.</summary>
    public const string NotAName = "cannot be a key's name: it stands for every key";

    /// <param name="value">What was written.</param>
    /// <param name="mayLimit">False where keys have no limits: those of administrators.</param>
    public static ImmutableArray<ClientKey> Bind(SettingReader value, bool mayLimit = true)
    {
        var keys = ImmutableArray.CreateBuilder<ClientKey>();
        if (Plain(value) is not { } plain)
        {
            return [];
        }

        if (plain.Node.Kind == SettingKind.Map)
        {
            foreach (var (name, key) in plain.Entries(""))
            {
                AddEntry(keys, key, name, key, mayLimit);
            }
        }
        else
        {
            foreach (var part in (plain with { Secret = true }).Parts())
            {
                if (part.Node.Kind == SettingKind.Map)
                {
                    AddNamedMap(keys, part with { Secret = false }, mayLimit);
                }
                else
                {
                    AddPart(keys, part, $"key-{keys.Count + 1}");
                }
            }
        }

        if (keys.Count > Most)
        {
            value.Report($"has more than {Most} keys");
        }

        return keys.ToImmutable();
    }

    /// <summary>A variable's JSON as what it says; anything else as it is; null when it is reported.</summary>
    private static SettingReader? Plain(SettingReader value)
    {
        if (value.Node.Kind != SettingKind.Scalar || value.Node.Text.Trim() is not ['{' or '[', ..] text)
        {
            return value;
        }

        if (JsonSettings.Parse(System.Text.Encoding.UTF8.GetBytes(text), out var problem) is { } node)
        {
            return value with { Node = node };
        }

        value.Report(problem!.Text);
        return null;
    }

    private static void AddNamedMap(ImmutableArray<ClientKey>.Builder keys, SettingReader map, bool mayLimit)
    {
        var name = map.Entries("").FirstOrDefault(entry => entry.Key == "name").Value;
        if (name is null || name.Node.Kind == SettingKind.Null)
        {
            map.Report("needs a name");
        }
        else
        {
            AddEntry(keys, name with { Secret = true }, name.Node.Text.Trim(), map, mayLimit);
        }
    }

    private static void AddEntry(ImmutableArray<ClientKey>.Builder keys, SettingReader place, string name, SettingReader value, bool mayLimit)
    {
        if (value.Node.Kind != SettingKind.Map)
        {
            Add(keys, place with { Secret = true }, name, value with { Secret = true }, KeyLimits.None);
            return;
        }

        ReadOnlySpan<string> others = ReferenceEquals(place.Node, value.Node) ? ["key"] : ["name", "key"];
        var limits = KeyLimitsTable.Bind(value, KeyLimits.None, others);
        if (!mayLimit && limits != KeyLimits.None)
        {
            value.Report("an administrator's key has no limits");
        }

        var key = value.Entries("").FirstOrDefault(entry => entry.Key == "key").Value;
        if (key is null || key.Node.Kind == SettingKind.Null)
        {
            value.Report("needs a key");
        }
        else
        {
            Add(keys, place with { Secret = true }, name, key with { Secret = true }, limits);
        }
    }

    private static void AddPart(ImmutableArray<ClientKey>.Builder keys, SettingReader part, string defaultName)
    {
        var text = part.Node.Text.Trim();
        var sign = text.IndexOf('=', StringComparison.Ordinal);

        // A bare key may be base64, whose padding is no separator.
        var named = sign >= 0 && text.AsSpan(sign).TrimStart('=').Length > 0;
        Add(keys, part, named ? text[..sign].Trim() : defaultName, named ? part with { Node = SettingNode.Scalar(text[(sign + 1)..], part.Node.Line) } : part, KeyLimits.None);
    }

    private static void Add(ImmutableArray<ClientKey>.Builder keys, SettingReader place, string name, SettingReader key, KeyLimits limits)
    {
        if (!SettingReader.IsName(name))
        {
            place.Refuse("must be name=key or a key; a name is 1 to 64 printable ASCII characters without spaces, commas, quotes and slashes");
        }
        else if (name == Every)
        {
            place.Report($"'{Every}' {NotAName}");
        }
        else if (key.Node.Kind == SettingKind.Null)
        {
            place.Refuse("must be name=key or a key");
        }
        else if (key.Credential() is not { } credential)
        {
            return;
        }
        else if (keys.Any(other => other.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
        {
            place.Report("has the same name as a key before it");
        }
        else if (keys.Any(other => other.Hash == ClientKey.HashOf(credential)))
        {
            place.Report("is the same as a key before it");
        }
        else
        {
            keys.Add(new(name, credential) { Limits = limits });
        }
    }
}
