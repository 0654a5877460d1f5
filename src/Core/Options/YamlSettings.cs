using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Roadbalancer.Options;

/// <summary>
/// Reads one YAML document into a <see cref="SettingNode"/> tree, event by event: no objects are made from tags, an alias is a reference to
/// its finished anchor (so it can neither recurse nor multiply), and <c>&lt;&lt;</c> merges. Only this class touches YamlDotNet, which is
/// therefore not loaded without a YAML file.
/// </summary>
internal sealed class YamlSettings
{
    private const string MergeKey = "<<";
    private const string TagPrefix = "tag:yaml.org,2002:";

    private static readonly string[] StandardTags = ["str", "int", "float", "bool", "null", "map", "seq", "merge"];

    private readonly Parser _parser;
    private readonly Dictionary<string, SettingNode> _anchors = new(StringComparer.Ordinal);
    private int _nodes;
    private SyntaxProblem? _problem;

    private YamlSettings(string text) => _parser = new Parser(new StringReader(text));

    /// <summary>The tree (an empty document is a null node), or null and the problem. Never throws for what <paramref name="text"/> holds.</summary>
    public static SettingNode? Parse(string text, out SyntaxProblem? problem)
    {
        var yaml = new YamlSettings(text);
        try
        {
            var root = yaml.Document();
            problem = yaml._problem;
            return problem is null ? root : null;
        }
        catch (YamlException e)
        {
            problem = new(Describe(e, text), (int)e.Start.Line);
            return null;
        }
        catch (Exception)
        {
            // The scanner has paths on which it trips over its input with an exception of another kind; for the user it is the same.
            problem = new("not valid YAML", 0);
            return null;
        }
    }

    private SettingNode? Document()
    {
        _parser.MoveNext();
        _parser.MoveNext();
        if (_parser.Current is StreamEnd)
        {
            return SettingNode.Null();
        }

        _parser.MoveNext();
        var root = Value(depth: 0);
        if (root is null)
        {
            return null;
        }

        _parser.MoveNext();
        _parser.MoveNext();
        return _parser.Current is StreamEnd ? root : Fail(new("more than one document in the file", Line));
    }

    private int Line => (int)(_parser.Current?.Start.Line ?? 0);

    /// <summary>Reads the value that the parser stands at and leaves it at the value's last event.</summary>
    private SettingNode? Value(int depth)
    {
        var line = Line;
        if (++_nodes > SettingLimits.Nodes)
        {
            return Fail(SettingLimits.TooMany(line));
        }

        if (depth > SettingLimits.Depth)
        {
            return Fail(SettingLimits.TooDeep(line));
        }

        if (_parser.Current is AnchorAlias alias)
        {
            return _anchors.TryGetValue(alias.Value.Value, out var target)
                ? target
                : Fail(new("an alias names an anchor that is not defined before it", line));
        }

        if (_parser.Current is not NodeEvent start)
        {
            return Fail(new("not valid YAML", line));
        }

        if (!start.Tag.IsEmpty && !start.Tag.IsNonSpecific && !IsStandard(start.Tag.Value))
        {
            return Fail(new("a tag other than YAML's own", line));
        }

        var value = start switch
        {
            MappingStart => Map(line, depth),
            SequenceStart => List(line, depth),
            _ => Scalar((Scalar)start, line),
        };
        if (value is not null && !start.Anchor.IsEmpty)
        {
            _anchors[start.Anchor.Value] = value;
        }

        return value;
    }

    private static bool IsStandard(string tag) =>
        tag.StartsWith(TagPrefix, StringComparison.Ordinal) && StandardTags.Contains(tag[TagPrefix.Length..], StringComparer.Ordinal);

    private static SettingNode Scalar(Scalar scalar, int line) =>
        scalar.Style == ScalarStyle.Plain && scalar.Value is "" or "~" or "null" or "Null" or "NULL"
            ? SettingNode.Null(line)
            : SettingNode.Scalar(scalar.Value, line);

    private SettingNode? List(int line, int depth)
    {
        var items = new List<SettingNode>();
        while (_parser.MoveNext() && _parser.Current is not SequenceEnd)
        {
            if (Value(depth + 1) is not { } item)
            {
                return null;
            }

            items.Add(item);
        }

        return SettingNode.List(items, line);
    }

    private SettingNode? Map(int line, int depth)
    {
        var entries = new List<KeyValuePair<string, SettingNode>>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        SettingNode? merged = null;
        while (_parser.MoveNext() && _parser.Current is not MappingEnd)
        {
            var keyLine = Line;
            if (_parser.Current is not Scalar key)
            {
                return Fail(new("a key must be a plain word", keyLine));
            }

            if (!seen.Add(key.Value))
            {
                return Fail(SettingLimits.Twice(key.Value, keyLine));
            }

            _parser.MoveNext();
            if (Value(depth + 1) is not { } value)
            {
                return null;
            }

            if (key.Value == MergeKey)
            {
                merged = value;
            }
            else
            {
                entries.Add(new(key.Value, value));
            }
        }

        return merged is null || Merge(entries, seen, merged) ? SettingNode.Map(entries, line) : null;
    }

    /// <summary>Adds what <paramref name="merged"/>, a map or a list of maps, has beyond the map's own keys; the first to name a key wins.</summary>
    private bool Merge(List<KeyValuePair<string, SettingNode>> entries, HashSet<string> seen, SettingNode merged)
    {
        foreach (var map in merged.Kind == SettingKind.List ? merged.Items : [merged])
        {
            _nodes += map.Entries.Count;
            if (map.Kind != SettingKind.Map)
            {
                Fail(new("'<<' takes a map or a list of maps", merged.Line));
            }
            else if (_nodes > SettingLimits.Nodes)
            {
                Fail(SettingLimits.TooMany(merged.Line));
            }

            if (_problem is not null)
            {
                return false;
            }

            entries.AddRange(map.Entries.Where(entry => seen.Add(entry.Key)));
        }

        return true;
    }

    private SettingNode? Fail(SyntaxProblem problem)
    {
        _problem ??= problem;
        return null;
    }

    /// <summary>The scanner's own words: they are fixed texts in this version, and quote nothing of the document (a test plants secrets to keep it so).</summary>
    private static string Describe(YamlException e, string text)
    {
        var place = $"not valid YAML at line {e.Start.Line}, column {e.Start.Column}";
        if (IsIndentedByTab(text, (int)e.Start.Line))
        {
            return place + ": a tab where YAML wants spaces";
        }

        return $"{place}: {e.Message}";
    }

    private static bool IsIndentedByTab(string text, int line)
    {
        var start = 0;
        for (var at = 1; at < line && start >= 0; at++)
        {
            start = text.IndexOf('\n', start) + 1;
            if (start == 0)
            {
                return false;
            }
        }

        while (start < text.Length && text[start] == ' ')
        {
            start++;
        }

        return start < text.Length && text[start] == '\t';
    }
}
