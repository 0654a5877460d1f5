namespace Roadbalancer.Options;

/// <summary>What a <see cref="SettingNode"/> is.</summary>
internal enum SettingKind
{
    /// <summary>Written but empty: the default stays in force.</summary>
    Null,
    Scalar,
    List,
    Map,
}

/// <summary>
/// A value as the user wrote it, whatever it was written in: YAML, JSON, an environment variable or an argument. Immutable, so a YAML
/// alias is the same object in two places and a bomb of aliases costs nothing. A scalar is text; what type it ought to be is the binder's affair.
/// </summary>
internal sealed class SettingNode
{
    private SettingNode(SettingKind kind, int line)
    {
        Kind = kind;
        Line = line;
    }

    public SettingKind Kind { get; }

    /// <summary>The line of the file, from 1; 0 where there is no file.</summary>
    public int Line { get; }

    /// <summary>A scalar's text; empty for everything else.</summary>
    public string Text { get; private init; } = "";

    /// <summary>A list's items in order.</summary>
    public IReadOnlyList<SettingNode> Items { get; private init; } = [];

    /// <summary>A map's entries in order, each key once.</summary>
    public IReadOnlyList<KeyValuePair<string, SettingNode>> Entries { get; private init; } = [];

    public static SettingNode Null(int line = 0) => new(SettingKind.Null, line);

    public static SettingNode Scalar(string text, int line = 0) => new(SettingKind.Scalar, line) { Text = text };

    public static SettingNode List(IReadOnlyList<SettingNode> items, int line = 0) => new(SettingKind.List, line) { Items = items };

    public static SettingNode Map(IReadOnlyList<KeyValuePair<string, SettingNode>> entries, int line = 0) =>
        new(SettingKind.Map, line) { Entries = entries };
}

/// <summary>Why a text is not a document at all.</summary>
/// <param name="Text">What is wrong; it quotes nothing from the document, since that may be a secret.</param>
/// <param name="Line">From 1; 0 when it is not known.</param>
internal sealed record SyntaxProblem(string Text, int Line);

/// <summary>Limits that no honest configuration meets and that keep a hostile one from costing memory, stack or time.</summary>
internal static class SettingLimits
{
    /// <summary>Largest file, and largest <c>LLM_BACKENDS</c>, in bytes: 1 MiB.</summary>
    public const int Bytes = 1024 * 1024;

    /// <summary>Maps and lists inside each other.</summary>
    public const int Depth = 32;

    /// <summary>Values in a document, what merge keys copy included.</summary>
    public const int Nodes = 100_000;

    /// <summary>Backends in a pool.</summary>
    public const int Backends = 1_000;

    /// <summary>Errors that are reported; the rest is counted.</summary>
    public const int Errors = 100;

    public static SyntaxProblem TooDeep(int line) => new($"maps and lists are nested more than {Depth} deep", line);

    public static SyntaxProblem TooMany(int line) => new($"more than {Nodes} values", line);

    public static SyntaxProblem Twice(string key, int line) => new($"the key {KeyText.Shown(key)} is there twice in one map", line);
}
