using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Docs;

/// <summary>What the docstrings of the options' members say of the keys that they name, as text for a page.</summary>
internal sealed partial class Docstrings
{
    private readonly Dictionary<string, XElement> _summaries;

    public Docstrings()
    {
        var file = Repository.PathOf("src", "Core", "bin", Repository.Configuration, "net10.0", "Roadbalancer.xml");
        _summaries = XDocument.Load(file).Descendants("member").Where(member => member.Element("summary") is not null)
            .ToDictionary(member => (string)member.Attribute("name")!, member => member.Element("summary")!, StringComparer.Ordinal);
    }

    /// <summary>The one property of <paramref name="types"/> whose docstring names <paramref name="key"/> as its key («Key <c>x</c>», «Keys <c>x</c>, <c>y</c>»).</summary>
    public PropertyInfo Property(string key, params ReadOnlySpan<Type> types)
    {
        var found = new List<PropertyInfo>();
        foreach (var type in types)
        {
            found.AddRange(type.GetProperties().Where(property => KeysOf(property).Contains(key)));
        }

        Assert.True(found.Count == 1, $"The setting {key} needs exactly one property whose docstring says «Key <c>{key}</c>»; there are {found.Count}.");
        return found[0];
    }

    /// <summary>What the property means: its summary without the sentences that only repeat key, unit, range and default.</summary>
    public string Meaning(PropertyInfo property)
    {
        var sentences = Sentences().Split(Text(property)).Select(Kept).Where(sentence => sentence.Length > 0);
        return string.Join(' ', sentences).Replace("|", "\\|", StringComparison.Ordinal);
    }

    /// <summary>Drops a sentence about key, range or default, but not what follows its semicolon and says more.</summary>
    private static string Kept(string sentence)
    {
        if (!Technical().IsMatch(sentence))
        {
            return sentence;
        }

        var semicolon = sentence.IndexOf("; ", StringComparison.Ordinal);
        var rest = semicolon < 0 ? "" : sentence[(semicolon + 2)..];
        return rest.Length == 0 || BareDefault().IsMatch(rest) ? "" : char.ToUpperInvariant(rest[0]) + rest[1..];
    }

    private IEnumerable<string> KeysOf(PropertyInfo property) =>
        Keys().Matches(Text(property)).SelectMany(list => Quoted().Matches(list.Value)).Select(key => key.Groups[1].Value);

    private string Text(PropertyInfo property) => _summaries.TryGetValue($"P:{property.DeclaringType!.FullName}.{property.Name}", out var summary)
        ? Aside().Replace(Blanks().Replace(string.Concat(summary.Nodes().Select(Text)), " ").Trim(), "")
        : "";

    private string Text(XNode node) => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "c" } code => $"`{code.Value}`",
        XElement { Name.LocalName: "see" } see when _summaries.TryGetValue((string?)see.Attribute("cref") ?? "", out var other) && Keys().Match(string.Concat(other.Nodes().Select(Plain))) is { Success: true } key =>
            $"`{Quoted().Match(key.Value).Groups[1].Value}`",
        XElement element => $"`{((string?)element.Attribute("cref") ?? element.Value).Split('.')[^1]}`",
        _ => "",
    };

    private static string Plain(XNode node) => node is XElement { Name.LocalName: "c" } code ? $"`{code.Value}`" : node is XText text ? text.Value : "";

    [GeneratedRegex(@"\b[Kk]eys? (?:`[^`]+`(?:, | and )?)+")]
    private static partial Regex Keys();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"(?<=\.) (?=[A-Z0-9−`])")]
    private static partial Regex Sentences();

    /// <summary>«Key …», «Default …», «0 to 100, default 2.».</summary>
    [GeneratedRegex(@"^(?:Keys? `|Default (?!for )|(?:Above )?[−\d][\d,.]*,? to .*default )")]
    private static partial Regex Technical();

    [GeneratedRegex(@"^default \S+$")]
    private static partial Regex BareDefault();

    /// <summary>What only a reader of the code asks for: «(here null)».</summary>
    [GeneratedRegex(@" \(here [^)]*\)")]
    private static partial Regex Aside();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
