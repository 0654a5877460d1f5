using System.Text;
using System.Text.Json;

namespace Roadbalancer.Options;

/// <summary>Reads JSON, comments and trailing commas allowed, into a <see cref="SettingNode"/> tree.</summary>
internal sealed class JsonSettings
{
    private readonly byte[] _utf8;
    private int _counted;
    private int _line = 1;
    private int _nodes;
    private SyntaxProblem? _problem;

    private JsonSettings(byte[] utf8) => _utf8 = utf8;

    /// <summary>The tree, or null and the problem. Never throws for what <paramref name="utf8"/> holds.</summary>
    public static SettingNode? Parse(byte[] utf8, out SyntaxProblem? problem)
    {
        var parser = new JsonSettings(utf8);
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions
        {
            AllowTrailingCommas = true,
            CommentHandling = JsonCommentHandling.Skip,
            MaxDepth = SettingLimits.Depth + 1,
        });
        try
        {
            reader.Read();
            var root = parser.Value(ref reader, depth: 0);
            if (root is not null && reader.Read())
            {
                parser.Fail(new("something follows the end of the JSON value", parser.LineOf(ref reader)));
            }

            problem = parser._problem;
            return problem is null ? root : null;
        }
        catch (JsonException e)
        {
            // The exception's text quotes the offending character, which may belong to a secret; only its place is passed on.
            problem = new($"not valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}", (int)(e.LineNumber ?? 0) + 1);
            return null;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair, which is JSON but no text.
            problem = new("not valid JSON: an escape sequence is not a character", parser._line);
            return null;
        }
    }

    private SettingNode? Value(ref Utf8JsonReader reader, int depth)
    {
        var line = LineOf(ref reader);
        if (++_nodes > SettingLimits.Nodes)
        {
            return Fail(SettingLimits.TooMany(line));
        }

        if (depth > SettingLimits.Depth)
        {
            return Fail(SettingLimits.TooDeep(line));
        }

        return reader.TokenType switch
        {
            JsonTokenType.StartObject => Map(ref reader, line, depth),
            JsonTokenType.StartArray => List(ref reader, line, depth),
            JsonTokenType.Null => SettingNode.Null(line),
            JsonTokenType.String => SettingNode.Scalar(reader.GetString() ?? "", line),
            _ => SettingNode.Scalar(Encoding.UTF8.GetString(reader.ValueSpan), line),
        };
    }

    private SettingNode? Map(ref Utf8JsonReader reader, int line, int depth)
    {
        var entries = new List<KeyValuePair<string, SettingNode>>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var key = reader.GetString() ?? "";
            if (!seen.Add(key))
            {
                return Fail(SettingLimits.Twice(key, LineOf(ref reader)));
            }

            reader.Read();
            if (Value(ref reader, depth + 1) is not { } value)
            {
                return null;
            }

            entries.Add(new(key, value));
        }

        return SettingNode.Map(entries, line);
    }

    private SettingNode? List(ref Utf8JsonReader reader, int line, int depth)
    {
        var items = new List<SettingNode>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (Value(ref reader, depth + 1) is not { } item)
            {
                return null;
            }

            items.Add(item);
        }

        return SettingNode.List(items, line);
    }

    private int LineOf(ref Utf8JsonReader reader)
    {
        var start = (int)reader.TokenStartIndex;
        _line += _utf8.AsSpan(_counted, start - _counted).Count((byte)'\n');
        _counted = start;
        return _line;
    }

    private SettingNode? Fail(SyntaxProblem problem)
    {
        _problem ??= problem;
        return null;
    }
}
