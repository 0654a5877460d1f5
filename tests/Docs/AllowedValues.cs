using System.Text.RegularExpressions;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Docs;

/// <summary>What a setting allows, in the program's own words: it is given what cannot be right, and its complaint is read.</summary>
internal static partial class AllowedValues
{
    private static readonly SettingNode[] Impossible =
    [
        SettingNode.Scalar("?"),
        SettingNode.Scalar("\u0001"),
        SettingNode.Map([KeyValuePair.Create("?", SettingNode.Null())]),
    ];

    public static string Of(string key, Action<SettingReader> apply)
    {
        var complaint = Impossible.Select(node => Complaint(key, node, apply)).FirstOrDefault(text => text is not null)
            ?? throw new InvalidOperationException($"{key} complains of nothing.");
        var text = Rule().Match(complaint) is { Success: true } rule ? rule.Groups[1].Value : complaint;
        return Short(text, isList: Complaint(key, SettingNode.List([SettingNode.Scalar("a"), SettingNode.Scalar("b")]), apply) is null,
            isMap: Complaint(key, SettingNode.Map([KeyValuePair.Create("a", SettingNode.Scalar("b"))]), apply) is null);
    }

    private static string? Complaint(string key, SettingNode node, Action<SettingReader> apply)
    {
        var binding = new Binding(new Dictionary<string, string>(StringComparer.Ordinal));
        apply(new(node, key, null, binding));
        return binding.Errors.FirstOrDefault()?.Problem;
    }

    private static string Short(string text, bool isList, bool isMap)
    {
        if (text.StartsWith("one of ", StringComparison.Ordinal))
        {
            return string.Join(", ", text["one of ".Length..].Split(", ").Select(name => $"`{name}`"));
        }

        text = Number().Replace(text, "$1");
        text = Word().Replace(text, "text of $1");
        text = text.Replace(" (seconds)", " s", StringComparison.Ordinal).Replace("above 0 to 1", "above 0, to 1", StringComparison.Ordinal);
        return isList ? isMap ? "list, map, or text with commas" : "list, or text with commas" : text;
    }

    [GeneratedRegex("^must be (?:an? )?(.*)$")]
    private static partial Regex Rule();

    [GeneratedRegex(@"^(?:whole )?number (?:from )?((?:above )?[-\d.,]+ to [\d.,]+)")]
    private static partial Regex Number();

    [GeneratedRegex("^text of (.*) in one line$")]
    private static partial Regex Word();
}
