using System.Collections;
using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Roadbalancer.Wire;

/// <summary>A message's header fields in the order they came in, a line each; names are found whatever their case.</summary>
internal sealed class WireHeaders : IEnumerable<KeyValuePair<string, string>>
{
    private const int LongestKnown = 48;

    /// <summary>Texts that most answers have, so that they are not made anew for each.</summary>
    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> _known = Known().GetAlternateLookup<ReadOnlySpan<char>>();

    private readonly List<KeyValuePair<string, string>> _lines = new(8);

    /// <summary>Lines, in the order they came in.</summary>
    public int Count => _lines.Count;

    /// <summary>Two lines or more have the same name.</summary>
    public bool HasRepeated { get; private set; }

    public KeyValuePair<string, string> this[int index] => _lines[index];

    /// <summary>The field's value; several lines as one list, joined by commas (RFC 9110 §5.3). Null: there is none.</summary>
    public string? this[string name] => TryGet(name, out var value) ? value : null;

    public void Add(string name, string value)
    {
        HasRepeated |= Has(name);
        _lines.Add(new(name, value));
    }

    /// <summary>Adds a line as it came: bytes are characters, whatever their charset.</summary>
    public void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => Add(TextOf(name), TextOf(value));

    /// <summary>Lets <paramref name="more"/> go on in the last line (RFC 9112 §5.2).</summary>
    public void Fold(ReadOnlySpan<byte> more) => _lines[^1] = new(_lines[^1].Key, $"{_lines[^1].Value} {Encoding.Latin1.GetString(more)}");

    public bool Has(string name)
    {
        foreach (var line in _lines)
        {
            if (line.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an earlier line has the name of the one at <paramref name="index"/>.</summary>
    public bool IsRepeated(int index)
    {
        for (var earlier = 0; earlier < index; earlier++)
        {
            if (_lines[earlier].Key.Equals(_lines[index].Key, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    public bool TryGet(string name, [NotNullWhen(true)] out string? value)
    {
        value = null;
        foreach (var line in _lines)
        {
            if (line.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                value = value is null ? line.Value : $"{value}, {line.Value}";
            }
        }

        return value is not null;
    }

    /// <summary>Whether a list-valued field has <paramref name="member"/> among its members.</summary>
    public bool Lists(string name, string member)
    {
        if (!TryGet(name, out var value))
        {
            return false;
        }

        foreach (var range in value.AsSpan().Split(','))
        {
            if (value.AsSpan(range).Trim(" \t").Equals(member, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    public IEnumerator<KeyValuePair<string, string>> GetEnumerator() => _lines.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static string TextOf(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > LongestKnown)
        {
            return Encoding.Latin1.GetString(bytes);
        }

        Span<char> letters = stackalloc char[LongestKnown];
        letters = letters[..Encoding.Latin1.GetChars(bytes, letters)];
        return _known.TryGetValue(letters, out var known) ? known : letters.ToString();
    }

    private static FrozenSet<string> Known()
    {
        string[] names =
        [
            "Server", "Date", "Content-Type", "Content-Length", "Connection", "Keep-Alive", "Transfer-Encoding", "Cache-Control", "Content-Encoding", "Vary",
            "Retry-After", "X-Request-Id", "X-Accel-Buffering", "Access-Control-Allow-Origin", "Strict-Transport-Security", "OpenAI-Organization",
            "OpenAI-Processing-Ms", "OpenAI-Version", "X-RateLimit-Limit-Requests", "X-RateLimit-Limit-Tokens", "X-RateLimit-Remaining-Requests",
            "X-RateLimit-Remaining-Tokens", "X-RateLimit-Reset-Requests", "X-RateLimit-Reset-Tokens", "X-Ms-Region", "Apim-Request-Id",
        ];
        string[] values = ["application/json", "application/json; charset=utf-8", "text/event-stream", "text/event-stream; charset=utf-8",
            "keep-alive", "close", "chunked", "no-cache", "uvicorn", ""];
        return names.Concat(names.Select(name => name.ToLowerInvariant())).Concat(values).ToFrozenSet(StringComparer.Ordinal);
    }
}
