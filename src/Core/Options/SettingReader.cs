using System.Globalization;

namespace Roadbalancer.Options;

/// <summary>
/// One written value and its place. Each method turns it into a type and a range, or reports what is allowed and returns null; an empty
/// value (<see cref="SettingKind.Null"/>) is null without a report. Nothing is thrown, so that one load finds every error.
/// </summary>
/// <param name="Node">The value.</param>
/// <param name="Path">Its key, as messages name it.</param>
/// <param name="File">The file's name; null for environment and command line.</param>
/// <param name="Binding">Where reports go.</param>
internal sealed partial record SettingReader(SettingNode Node, string Path, string? File, Binding Binding)
{
    private const int LongestShown = 60;
    private const int LongestText = 4096;

    /// <summary>Whether messages must not show the value.</summary>
    public bool Secret { get; init; }

    private string? Location => File is null ? null : Node.Line > 0 ? $"{File}, line {Node.Line}" : File;

    public SettingReader Of(string key, SettingNode node) => this with { Node = node, Path = Path.Length == 0 ? KeyText.Path(key) : $"{Path}.{KeyText.Path(key)}" };

    public SettingReader At(int index) => this with { Node = Node.Items[index], Path = $"{Path}[{index}]" };

    /// <summary>Reports <paramref name="problem"/> together with the value.</summary>
    public void Refuse(string problem) => Binding.Add(new(Path, Shown(), problem, Location));

    /// <summary>Reports <paramref name="problem"/> where the value is not the matter, or must not be seen.</summary>
    public void Report(string problem) => Binding.Add(new(Path, null, problem, Location));

    /// <summary>Reports <paramref name="key"/>, which this map should not have, and names the known one that is nearest.</summary>
    public void RefuseKey(string key, int line, IReadOnlyCollection<string> known) =>
        Of(key, SettingNode.Null(line)).Report("unknown key" + KeyText.Suggestion(key, known));

    public string? Text(int longest = LongestText)
    {
        if (!IsScalar("must be a text"))
        {
            return null;
        }

        var text = Node.Text.Trim();
        if (text.Length > 0 && text.Length <= longest && !text.AsSpan().ContainsAnyInRange('\0', '\x1f') && !text.Contains('\x7f', StringComparison.Ordinal))
        {
            return text;
        }

        Refuse($"must be a text of 1 to {longest} characters in one line");
        return null;
    }

    public bool? Flag()
    {
        if (!IsScalar("must be true or false"))
        {
            return null;
        }

        switch (Node.Text.Trim().ToLowerInvariant())
        {
            case "true" or "yes" or "on" or "1":
                return true;
            case "false" or "no" or "off" or "0":
                return false;
            default:
                Refuse("must be true or false");
                return null;
        }
    }

    public int? Whole(int least, int most) => (int?)Whole((long)least, most);

    public long? Whole(long least, long most)
    {
        var allowed = string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {least:N0} to {most:N0}");
        if (!IsScalar(allowed))
        {
            return null;
        }

        if (long.TryParse(Node.Text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
        {
            return number;
        }

        Refuse(allowed);
        return null;
    }

    /// <summary>A number from <paramref name="least"/>, or above it when <paramref name="above"/> is set, to <paramref name="most"/>.</summary>
    public double? Number(double least, double most, bool above = false, string unit = "")
    {
        var allowed = string.Create(CultureInfo.InvariantCulture, $"must be a number {(above ? "above" : "from")} {least:#,0.###} to {most:#,0.###}{unit}");
        if (!IsScalar(allowed))
        {
            return null;
        }

        const NumberStyles style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (double.TryParse(Node.Text.Trim(), style, CultureInfo.InvariantCulture, out var number)
            && double.IsFinite(number) && number <= most && (above ? number > least : number >= least))
        {
            return number;
        }

        Refuse(allowed);
        return null;
    }

    /// <summary>A time written in seconds, with fractions, of 1 ms at least unless <paramref name="orZero"/>.</summary>
    public TimeSpan? Seconds(double most = 86_400, bool orZero = false) =>
        Number(orZero ? 0 : 0.001, most, unit: " (seconds)") is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>One of the names in <paramref name="choices"/>, whatever its case.</summary>
    public T? OneOf<T>(params ReadOnlySpan<(string Name, T Value)> choices)
        where T : struct
    {
        var names = new List<string>();
        foreach (var (name, value) in choices)
        {
            names.Add(name);
            if (Node.Kind == SettingKind.Scalar && Node.Text.AsSpan().Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        var allowed = $"must be one of {string.Join(", ", names)}";
        if (IsScalar(allowed))
        {
            Refuse(allowed);
        }

        return null;
    }

    /// <summary>A list's items, or the parts of a text at its commas.</summary>
    public List<SettingReader> Parts()
    {
        if (Node.Kind == SettingKind.List)
        {
            return [.. Enumerable.Range(0, Node.Items.Count).Select(At)];
        }

        if (!IsScalar("must be a list, or a text with commas"))
        {
            return [];
        }

        var parts = Node.Text.Split(',', StringSplitOptions.TrimEntries);
        var count = parts.Length > 1 && parts[^1].Length == 0 ? parts.Length - 1 : parts.Length;
        return [.. parts.Take(count).Select((part, index) => this with { Node = SettingNode.Scalar(part, Node.Line), Path = $"{Path}[{index}]" })];
    }

    /// <summary>A map's entries; empty, and reported, when it is none.</summary>
    public List<KeyValuePair<string, SettingReader>> Entries(string problem)
    {
        if (Node.Kind == SettingKind.Map)
        {
            return [.. Node.Entries.Select(entry => KeyValuePair.Create(entry.Key, Of(entry.Key, entry.Value)))];
        }

        if (Node.Kind != SettingKind.Null)
        {
            Refuse(problem);
        }

        return [];
    }

    private bool IsScalar(string allowed)
    {
        if (Node.Kind is SettingKind.List or SettingKind.Map)
        {
            Refuse(allowed);
        }

        return Node.Kind == SettingKind.Scalar;
    }

    private string Shown()
    {
        if (Secret)
        {
            return "***";
        }

        if (Node.Kind != SettingKind.Scalar)
        {
            return Node.Kind switch { SettingKind.List => "a list", SettingKind.Map => "a map", _ => "nothing" };
        }

        var text = Node.Text.Length > LongestShown ? Node.Text[..LongestShown] + "…" : Node.Text;
        return $"'{string.Create(text.Length, text, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++)
            {
                to[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) ? '?' : from[i];
            }
        })}'";
    }
}
