using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Infra;

/// <summary>What can be held of the templates without the compiler.</summary>
public sealed partial class BicepTests
{
    private static readonly BicepFile[] Templates = BicepFile.Templates();

    private static readonly BicepFile Main = Templates.Single(file => file.Name == "main.bicep");

    /// <summary>Azure's own role definitions, as its list of built-in roles has them.</summary>
    private static readonly Dictionary<string, string> Roles = new(StringComparer.Ordinal)
    {
        ["storageBlobDataOwner"] = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        ["storageQueueDataContributor"] = "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        ["storageTableDataContributor"] = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        ["keyVaultSecretsUser"] = "4633458b-17de-408a-b874-0445c86b69e6",
        ["keyVaultSecretsOfficer"] = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        ["monitoringMetricsPublisher"] = "3913510d-42f4-4e42-8a64-420c390055eb",
    };

    public static TheoryData<string> Names => [.. Templates.Select(file => file.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Parameters_Each_IsDescribedAndUsed(string name)
    {
        var file = BicepFile.Read(name);

        Assert.All(file.Of("param"), parameter =>
        {
            Assert.True(parameter.Description is { Length: > 10 }, $"{name}: {parameter.Name} is not described");
            Assert.True(file.IsUsed(parameter.Name), $"{name}: {parameter.Name} is not used");
        });
        Assert.All(file.Of("output"), output => Assert.True(output.Description is { Length: > 10 }, $"{name}: {output.Name} is not described"));
        Assert.All(file.Of("var"), variable => Assert.True(file.IsUsed(variable.Name), $"{name}: {variable.Name} is not used"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Names_Each_IsDeclaredOnce(string name)
    {
        var file = BicepFile.Read(name);

        Assert.Empty(file.Undeclared());
        Assert.Equal(file.Declarations.Count, file.Declarations.Select(declaration => (declaration.Keyword == "output", declaration.Name)).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Source_Each_IsCited(string name) => Assert.Matches(CitedTemplate(), BicepFile.Read(name).Text);

    [Fact]
    public void Modules_InTheFolder_AreAllUsed()
    {
        var referenced = Main.Of("module").Select(module => module.Type).Distinct().Order(StringComparer.Ordinal);

        Assert.Equal(Templates.Where(file => file != Main).Select(file => file.Name), referenced);
        Assert.All(Templates.Where(file => file != Main), file => Assert.Empty(file.Of("module")));
    }

    [Fact]
    public void ModuleParameters_AtEachCall_AreThoseOfTheModule()
    {
        foreach (var call in Main.Of("module"))
        {
            var declared = BicepFile.Read(call.Type).Of("param").ToList();
            var given = BicepFile.Entries(call.Body, "params").Keys.ToHashSet(StringComparer.Ordinal);

            Assert.Empty(given.Except(declared.Select(parameter => parameter.Name)));
            Assert.Empty(declared.Where(parameter => !parameter.HasDefault).Select(parameter => parameter.Name).Except(given));
        }
    }

    [Fact]
    public void ModuleOutputs_WhereRead_AreThoseOfTheModule()
    {
        var modules = Main.Of("module").ToDictionary(module => module.Name, module => BicepFile.Read(module.Type).Of("output").Select(output => output.Name).ToHashSet(StringComparer.Ordinal));
        var read = OutputReads().Matches(Main.Text).Select(match => (Module: match.Groups[1].Value, Output: match.Groups[2].Value)).ToList();

        Assert.True(read.Count > 20);
        Assert.All(read, access => Assert.Contains(access.Output, modules[access.Module]));
        Assert.All(modules.Where(module => module.Key is not "endpoints" and not "appEndpoint"), module =>
            Assert.Empty(module.Value.Except(read.Where(access => access.Module == module.Key).Select(access => access.Output))));
    }

    [Fact]
    public void ApiVersions_OfEachType_AreOneAndNoPreview()
    {
        var types = Templates.SelectMany(file => file.Of("resource")).Select(resource => resource.Type.Split('@')).ToLookup(parts => parts[0], parts => parts[1]);

        Assert.All(types, type => Assert.Matches("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", Assert.Single(type.Distinct())));
    }

    [Fact]
    public void Roles_ByName_AreAzures()
    {
        var file = BicepFile.Read("modules/roles.bicep");
        var written = file.Of("var").Where(variable => variable.Body is [_, { Kind: BicepKind.Text }]).ToDictionary(variable => variable.Name, variable => variable.Body[1].Text);

        Assert.Equal(Roles, written);
        Assert.Equal(Roles.Count, Guids().Count(string.Join('\n', Templates.Select(template => template.Text))));
    }

    [Fact]
    public void Secrets_InTemplatesAndExamples_AreReferencesOnly()
    {
        var texts = Templates.Select(file => (file.Name, file.Text))
            .Concat(Directory.GetFiles(BicepFile.Folder, "*.bicepparam").Select(path => (Name: Path.GetFileName(path), Text: File.ReadAllText(path))))
            .Append((Name: "azure.yaml", Text: File.ReadAllText(Repository.PathOf("azure.yaml"))));

        Assert.All(texts, file =>
        {
            Assert.DoesNotMatch("(?i)sk-[a-z0-9]{8}|AccountKey=|SharedAccessKey|password=[^$]|api_key: '(?!env:)", file.Text);
            Assert.True(file.Name == "modules/redis.bicep" || !file.Text.Contains("listKeys", StringComparison.Ordinal), $"{file.Name} reads keys");
        });
        Assert.Contains("allowSharedKeyAccess: false", BicepFile.Read("modules/storage.bicep").Text, StringComparison.Ordinal);
        Assert.All(Templates.SelectMany(file => file.Of("output")), output => Assert.DoesNotContain(output.Body, token => token.Is("listKeys")));
    }

    [Fact]
    public void Alerts_Queries_AskForEventsThatTheProgramLogs()
    {
        var logged = Directory.GetFiles(Repository.PathOf("src"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => LoggedEvents().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).ToHashSet(StringComparer.Ordinal);
        var text = BicepFile.Read("modules/alerts.bicep").Text;
        var asked = AskedEvents().Matches(text).SelectMany(match => match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries)).ToHashSet(StringComparer.Ordinal);

        Assert.Equal(["2003", "2120", "2121", "2160", "2161", "3003"], asked.Order(StringComparer.Ordinal));
        Assert.Subset(logged, asked);
        Assert.Contains("\"event\"", File.ReadAllText(Repository.PathOf("src", "Core", "Telemetry", "JsonLogFormatter.cs")), StringComparison.Ordinal);
        Assert.DoesNotContain("line.", text.Replace("line.event", "", StringComparison.Ordinal), StringComparison.Ordinal);
        var guide = File.ReadAllText(Repository.PathOf("docs", "deploy.md"));
        Assert.All(RuleNames().Matches(text).Select(match => match.Groups[1].Value), rule => Assert.Contains($"`{rule}`", guide, StringComparison.Ordinal));
    }

    [Fact]
    public void Alerts_Tables_AreFilledAsTheHostIsToldTo()
    {
        var logging = JsonNode.Parse(File.ReadAllText(Repository.PathOf("host.json")))!["logging"];

        // A sampled-out line is an alert that does not fire; without the successes there is no ratio.
        Assert.Contains("Trace", (string?)logging?["applicationInsights"]?["samplingSettings"]?["excludedTypes"] ?? "", StringComparison.Ordinal);
        Assert.True((string?)logging?["logLevel"]?["Host.Results"] is null or "Information" or "Debug" or "Trace", "Host.Results must reach AppRequests");
    }

    [GeneratedRegex(@"^// .*\b(Azure(?:-Samples)?/[a-z-]+) (?:infra|IaC|avm|generated|src)/", RegexOptions.Multiline)]
    private static partial Regex CitedTemplate();

    [GeneratedRegex(@"\b([a-zA-Z]+)\.outputs\.([a-zA-Z]+)")]
    private static partial Regex OutputReads();

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")]
    private static partial Regex Guids();

    [GeneratedRegex(@"LoggerMessage\(\s*([0-9]{4})")]
    private static partial Regex LoggedEvents();

    [GeneratedRegex(@"(?:line\.event\) ==|event in \() ?([0-9, ]+)")]
    private static partial Regex AskedEvents();

    [GeneratedRegex(@"^    name: '([a-z-]+)'$", RegexOptions.Multiline)]
    private static partial Regex RuleNames();
}
