using System.Collections.Immutable;

namespace Roadbalancer.Options;

/// <summary>
/// The keys that clients may present: a comma list or list of <c>name=key</c> or bare keys (named <c>key-1</c>, <c>key-2</c> by position),
/// or a map of name to key. A key may be an <c>env:NAME</c> reference. <c>ROADBALANCER_API_KEYS</c>, key <c>api_keys</c>.
/// </summary>
internal static class ClientKeyList
{
    public static ImmutableArray<ClientKey> Bind(SettingReader value)
    {
        var secret = value with { Secret = true };
        var keys = ImmutableArray.CreateBuilder<ClientKey>();
        if (value.Node.Kind == SettingKind.Map)
        {
            foreach (var (name, key) in secret.Entries(""))
            {
                Add(keys, key, name, key);
            }
        }
        else
        {
            foreach (var part in secret.Parts())
            {
                AddPart(keys, part, $"key-{keys.Count + 1}");
            }
        }

        return keys.ToImmutable();
    }

    private static void AddPart(ImmutableArray<ClientKey>.Builder keys, SettingReader part, string defaultName)
    {
        var text = part.Node.Text.Trim();
        var sign = text.IndexOf('=', StringComparison.Ordinal);

        // A bare key may be base64, whose padding is no separator.
        var named = sign >= 0 && text.AsSpan(sign).TrimStart('=').Length > 0;
        Add(keys, part, named ? text[..sign].Trim() : defaultName, named ? part with { Node = SettingNode.Scalar(text[(sign + 1)..], part.Node.Line) } : part);
    }

    private static void Add(ImmutableArray<ClientKey>.Builder keys, SettingReader place, string name, SettingReader key)
    {
        if (!SettingReader.IsName(name))
        {
            place.Refuse("must be name=key or a key; a name is 1 to 64 printable ASCII characters without spaces, commas, quotes and slashes");
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
        else if (keys.Any(other => other.Key == credential))
        {
            place.Report("is the same as a key before it");
        }
        else
        {
            keys.Add(new(name, credential));
        }
    }
}
