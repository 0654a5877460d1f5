using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Docs;

/// <summary>Pages name only settings, variables, strategies and events that there are.</summary>
public sealed partial class SettingsInDocsTests
{
    /// <summary>Variables that the program does not read, and why a page names them.</summary>
    private static readonly Dictionary<string, string> Foreign = new(StringComparer.Ordinal)
    {
        ["ROADBALANCER_COOLDWN"] = "a mistake that is shown on purpose",
        ["ROADBALANCER_WRITE_DOCS"] = "read by ConfigurationPageTests",
        ["ROADBALANCER_URL"] = "read by the command line program",
        ["ROADBALANCER_ADMIN_KEY"] = "read by the command line program",
    };

    /// <summary>Keys of something else that are written like a setting.</summary>
    private static readonly Dictionary<string, string> ForeignKeys = new(StringComparer.Ordinal)
    {
        ["event"] = "a field of server-sent events",
        ["retry"] = "a field of server-sent events",
        ["shared_state"] = "a field of the management API",
        ["durable"] = "a field of the management API",
    };

    public static TheoryData<string> Pages =>
    [
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "src/Core/README.md",
        .. Directory.GetFiles(Repository.PathOf("docs"), "*.md", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Repository.Root, file)),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public void Yaml_OfAPage_LoadsWithoutError(string page)
    {
        // Prometheus's own file is the one block that is not ours.
        var ours = Yaml().Matches(Text(page)).Select(block => block.Groups[1].Value).Where(block => !block.StartsWith("scrape_configs:", StringComparison.Ordinal));

        Assert.All(ours, block => Assert.Equal("", Problems(block)));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Variables_OfAPage_AreRead(string page)
    {
        var known = SettingTable.Rows.SelectMany(row => new[] { row.Variable, row.VariableA, row.VariableB }).OfType<string>()
            .Concat([Families.Backends, Families.SingleUrl, Families.Endpoints, "ROADBALANCER_CONFIG"])
            .Concat(Families.PositionalKeys.Concat(Families.SingleKeys).Select(variable => variable.Variable))
            .Concat(Foreign.Keys).ToHashSet(StringComparer.Ordinal);

        // azd's environment and its outputs are named where they are used.
        var ofTheDeployment = Variable().Matches(Text("infra/bicep/main.bicepparam") + Text("infra/bicep/main.bicep")).Select(match => match.Value);

        Assert.Empty(Variable().Matches(Text(page)).Select(match => match.Value).Distinct().Except(known).Except(ofTheDeployment));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Settings_WithAValueInAPage_AreValid(string page)
    {
        var settings = Setting().Matches(Text(page)).Select(match => (Key: match.Groups[1].Value, Value: match.Groups[2].Value)).Distinct()
            .Where(setting => !ForeignKeys.ContainsKey(setting.Key));

        Assert.All(settings, setting => Assert.Equal("", Problems(SettingTable.Find(setting.Key) is not null
            ? $"{setting.Key}: {setting.Value}"
            : $"endpoints: [{{url: 'http://a', {setting.Key}: {setting.Value}}}]")));
    }

    [Theory]
    [InlineData("cooldwn: 3", "cooldwn: unknown key")]
    [InlineData("strategy: fastest", "must be one of")]
    [InlineData("endpoints: [{url: 'http://a', wieght: 2}]", "wieght: unknown key")]
    public void Problems_OfAMistake_NameIt(string yaml, string told) => Assert.Contains(told, Problems(yaml), StringComparison.Ordinal);

    [Fact]
    public void Strategies_EachOfTheProgram_HasItsSection()
    {
        var page = Text("docs/strategies.md");
        Assert.All(StrategyTable.All, strategy => Assert.Contains($"\n## `{strategy.Name}`\n", page, StringComparison.Ordinal));
        Assert.All(StrategyTable.Names, name => Assert.Contains($"`{name}`", page, StringComparison.Ordinal));
    }

    [Fact]
    public void Events_OfTheOperationsPage_AreLoggedAtTheirLevel()
    {
        var logged = Directory.GetFiles(Repository.PathOf("src"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Logged().Matches(File.ReadAllText(file))).Select(match => (Id: match.Groups[1].Value, Level: match.Groups[2].Value)).ToHashSet();
        var page = Text("docs/operations.md");
        var rows = EventRow().Matches(page).Select(row => (Id: row.Groups[1].Value, Level: row.Groups[2].Value)).ToArray();

        Assert.True(rows.Length > 10);
        Assert.Subset(logged, rows.ToHashSet());
        Assert.Subset(logged.Select(line => line.Id).ToHashSet(), Number().Matches(page).Select(match => match.Value).ToHashSet());
    }

    /// <summary>What the loader has against it, when every variable that it refers to is set and there is a backend.</summary>
    private static string Problems(string yaml)
    {
        using var setup = Setup.Yaml(Endpoints().IsMatch(yaml) ? yaml : yaml + "\nendpoints: [{url: 'http://a'}]\n");
        foreach (Match reference in Reference().Matches(yaml))
        {
            setup.Environment[reference.Groups[1].Value] = "secret-" + reference.Groups[1].Value;
        }

        return OptionsReport.Errors(setup.Load());
    }

    private static string Text(string page) => File.ReadAllText(Repository.PathOf(page));

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();

    [GeneratedRegex(@"\b(?:ROADBALANCER|LLM|REDIS|LOAD_BALANCE|VLLM)_[A-Z_]+\b(?!_)")]
    private static partial Regex Variable();

    [GeneratedRegex("`([a-z_]+(?:\\.[a-z_]+)*): ([^`\n]+)`")]
    private static partial Regex Setting();

    [GeneratedRegex("^(?:endpoints|backends):", RegexOptions.Multiline)]
    private static partial Regex Endpoints();

    [GeneratedRegex("env:([A-Za-z_][A-Za-z0-9_]*)")]
    private static partial Regex Reference();

    [GeneratedRegex(@"LoggerMessage\(\s*([0-9]{4}),\s*LogLevel\.([A-Za-z]+)")]
    private static partial Regex Logged();

    [GeneratedRegex(@"^\| ([0-9]{4}) \| ([A-Za-z]+) \|", RegexOptions.Multiline)]
    private static partial Regex EventRow();

    /// <summary>An event's number in running text; other numbers of four digits have a comma in them.</summary>
    [GeneratedRegex(@"(?<![,.\d])\b[1-9]\d{3}\b(?!,\d)")]
    private static partial Regex Number();
}
