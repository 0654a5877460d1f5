using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Options;

namespace Roadbalancer.Tests.Docs;

/// <summary>
/// The tables of <c>docs/configuration.md</c>, made from the tables that the program binds settings by, its own complaints, its defaults and its docstrings.
/// <c>&lt;!-- generated: settings from KEY --&gt;</c> has the settings from that one on up to the next such mark; <c>backends</c>, <c>client keys</c>
/// and <c>command line</c> are the others. Each ends at <c>&lt;!-- end --&gt;</c>.
/// </summary>
internal sealed partial class ConfigurationPage : IDisposable
{
    private const string FromKey = "settings from ";

    private readonly Docstrings _docstrings = new();
    private readonly Setup _file = Setup.Yaml("endpoints: [{url: 'http://a'}]");
    private readonly Setup _variables = Setup.With((Families.Backends, """[{"url":"http://a"}]"""));

    public void Dispose()
    {
        _file.Dispose();
        _variables.Dispose();
    }

    /// <summary><paramref name="page"/> with every table as it has to be.</summary>
    public string Renewed(string page)
    {
        string[] starts = [.. Blocks().Matches(page).Select(block => block.Groups[1].Value).Where(name => name.StartsWith(FromKey, StringComparison.Ordinal)).Select(name => name[FromKey.Length..])];
        return Blocks().Replace(page, block => $"<!-- generated: {block.Groups[1].Value} -->\n{Table(block.Groups[1].Value, starts)}<!-- end -->");
    }

    private string Table(string name, string[] starts) => name switch
    {
        "backends" => Backends(),
        "client keys" => ClientKeys(),
        "command line" => $"```\n{CommandLine.Usage}\n```\n",
        _ when name.StartsWith(FromKey, StringComparison.Ordinal) => Settings(name[FromKey.Length..], starts),
        _ => throw new InvalidOperationException($"No table is called «{name}»."),
    };

    private string Settings(string first, string[] starts)
    {
        var from = SettingTable.Rows.IndexOf(SettingTable.Find(first)!);
        var to = SettingTable.Rows.Skip(from + 1).TakeWhile(row => !starts.Contains(row.Key)).Count();
        var rows = SettingTable.Rows.Skip(from).Take(to + 1).Select(Row);
        return $"| key | variable | values | default | |\n|---|---|---|---|---|\n{string.Concat(rows)}";
    }

    private string Row(Setting row)
    {
        var property = _docstrings.Property(row.Key, typeof(BalancerOptions), typeof(HostOptions), typeof(OptionsDraft), typeof(Backend));
        var variables = new[] { row.VariableA, row.VariableB, row.Variable }.OfType<string>();
        var values = row.Key == "api_keys" || row.Key == "admin_keys" ? "list, map, or text with commas"
            : AllowedValues.Of(row.Key, reader => row.Apply(new OptionsDraft(), reader));
        var own = BackendTable.Keys.Contains(row.Key) ? " Each backend may have its own." : "";
        return $"| {Codes(row.Synonyms.Prepend(row.Key))} | {Codes(variables)} | {values} | {Default(row.Key, property)} | {_docstrings.Meaning(property)}{own} |\n";
    }

    private string Backends()
    {
        var rows = BackendTable.Keys.Select(key =>
        {
            var property = _docstrings.Property(key, typeof(Backend));
            var values = AllowedValues.Of(key, reader => BackendTable.Bind(new BackendDraft(reader), key, reader));
            return $"| `{key}` | {Codes(VariablesOf(key))} | {values} | {Default(key, property)} | {_docstrings.Meaning(property)} |\n";
        });
        return $"| key | variable | values | default | |\n|---|---|---|---|---|\n{string.Concat(rows)}";
    }

    private string ClientKeys()
    {
        var rows = KeyLimitsTable.Keys.Select(key => $"| `{key}` | {_docstrings.Meaning(_docstrings.Property(key, typeof(KeyLimits)))} |\n");
        return $"| key | |\n|---|---|\n{string.Concat(rows)}";
    }

    private static IEnumerable<string> VariablesOf(string key) =>
        (key == "url" ? [Families.Endpoints, Families.SingleUrl] : Enumerable.Empty<string>())
            .Concat(Families.PositionalKeys.Concat(Families.SingleKeys).Where(variable => variable.Key == key).Select(variable => variable.Variable));

    private string Default(string key, PropertyInfo property)
    {
        if (key is "url" or "name")
        {
            return key == "url" ? "required" : "host and port";
        }

        var (one, other) = (Text(property, _file), Text(property, _variables));
        return one == other ? one : $"{one}; in family B {other}";
    }

    private static string Text(PropertyInfo property, Setup setup)
    {
        var result = setup.Load();
        object from = property.DeclaringType == typeof(BalancerOptions) ? result.Options!
            : property.DeclaringType == typeof(HostOptions) ? result.Host!
            : property.DeclaringType == typeof(Backend) ? result.Options!.Backends[0]
            : new OptionsDraft();
        return property.GetValue(from) switch
        {
            null => "–",
            bool flag => flag ? "`true`" : "`false`",
            ContinuationForm => "`false`",
            TimeSpan time => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.###}"),
            Enum word => $"`{word.ToString().ToLowerInvariant()}`",
            string { Length: 0 } => "–",
            string text => $"`{(Path.IsPathRooted(text) ? Path.GetRelativePath(setup.Folder, text) : text)}`",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            IEnumerable many when !many.Cast<object>().Any() => "–",
            var value => throw new InvalidOperationException($"The default {value} of {property.Name} has no form yet."),
        };
    }

    private static string Codes(IEnumerable<string> words) => string.Join(", ", words.Select(word => $"`{word}`"));

    [GeneratedRegex("<!-- generated: ([a-z_. ]+) -->\n.*?<!-- end -->", RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
