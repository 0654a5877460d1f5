using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.Tests.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Infra;

/// <summary>The app's settings in the templates and the settings that the program reads cannot drift apart.</summary>
public sealed partial class AppSettingsTests
{
    private static readonly BicepFile App = BicepFile.Read("modules/functionapp.bicep");

    private static readonly BicepFile Main = BicepFile.Read("main.bicep");

    /// <summary>Settings that others than the program read, and why they are there.</summary>
    private static readonly Dictionary<string, string> Foreign = new(StringComparer.Ordinal)
    {
        ["AzureWebJobsStorage__credential"] = "the host's storage by identity instead of a key",
        ["AzureWebJobsStorage__clientId"] = "which identity",
        ["AzureWebJobsStorage__blobServiceUri"] = "leases and secrets of the host",
        ["AzureWebJobsStorage__queueServiceUri"] = "control queues of the durable entities",
        ["AzureWebJobsStorage__tableServiceUri"] = "states of the durable entities",
        ["AzureWebJobsDisableHomepage"] = "the host's own page would answer /",
        ["APPLICATIONINSIGHTS_CONNECTION_STRING"] = "where the host sends logs, the program's lines among them",
        ["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] = "by identity, since local authentication is off",
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "OpenTelemetry's own variable",
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "OpenTelemetry's own variable",
    };

    /// <summary>What the functions' declarations name as <c>%NAME%</c>.</summary>
    private static readonly string[] Schedules = ["HEALTH_CHECK_SCHEDULE", "SETTLE_SCHEDULE"];

    /// <summary>Variables of the program that the template does not set, and why.</summary>
    private static readonly Dictionary<string, string> Absent = new(StringComparer.Ordinal)
    {
        ["HOST"] = "the host tells the program where to listen",
        ["PORT"] = "the host tells the program where to listen",
        ["REDIS_KEY_PREFIX"] = "Redis belongs to this deployment alone",
        ["LOAD_BALANCE_ENABLED"] = "balancing is what it is deployed for",
        ["MAX_RETRIES"] = "the default holds; by the parameter settings",
        ["FAILURE_THRESHOLD"] = "the default holds; by the parameter settings",
        ["VLLM_SERVER_URL"] = "LLM_BACKENDS says it",
        ["MODEL_NAME"] = "LLM_BACKENDS says it",
        ["API_KEY"] = "LLM_BACKENDS says it",
    };

    private static string[] OfProgram => Keys("programSettings");

    [Fact]
    public void ProgramSettings_Each_IsOneThatTheProgramReads()
    {
        var known = SettingTable.Rows.SelectMany(row => new[] { row.Variable, row.VariableA, row.VariableB }).OfType<string>().Append(Families.Backends).ToHashSet(StringComparer.Ordinal);

        Assert.Empty(OfProgram.Except(known));
        Assert.Equal(Schedules, Keys("scheduleSettings"));
        Assert.Equal(Foreign.Keys.Order(StringComparer.Ordinal), Keys("hostSettings").Concat(Keys("otlpSettings")).Order(StringComparer.Ordinal));
        Assert.Empty(Foreign.Keys.Intersect(known));
    }

    [Fact]
    public void Variables_OfTheProgram_AreSetOrLeftOutOnPurpose()
    {
        // Family A's are another way to say the same as family B's. Those made from a key, ROADBALANCER_…, come by the parameter settings.
        var own = SettingTable.Rows.SelectMany(row => new[] { row.Variable?.StartsWith("ROADBALANCER_", StringComparison.Ordinal) == true ? null : row.Variable, row.VariableB })
            .OfType<string>().Concat([Families.Backends, Families.SingleUrl, .. Families.SingleKeys.Select(key => key.Variable)]);

        Assert.Empty(own.Except(OfProgram).Except(Absent.Keys));
        Assert.Empty(Absent.Keys.Intersect(OfProgram));
    }

    [Fact]
    public void Settings_OfTheParameter_WinOverTheTemplatesButNotOverTheHosts() => Assert.Contains(
        "union(programSettings, scheduleSettings, otlpSettings, settings, secretReferences, hostSettings)", App.Text, StringComparison.Ordinal);

    [Theory]
    [InlineData("healthCheckIntervalSeconds")]
    [InlineData("settleIntervalSeconds")]
    public void Schedule_OfEachAllowedInterval_FiresEvenly(string parameter)
    {
        var allowed = (JsonArray)BicepValue.Read(Main.Of("param").Single(declared => declared.Name == parameter).Decorator("allowed"))!;

        Assert.NotEmpty(allowed);
        Assert.All(allowed.Select(seconds => (int)seconds!), seconds =>
            Assert.True(seconds < 60 ? 60 % seconds == 0 : seconds % 60 == 0 && 3600 % seconds == 0, $"every {seconds} s cannot be said as a schedule"));
        Assert.Contains($"{parameter} < 60 ? '*/${{{parameter}}} * * * * *' : '0 */${{{parameter} / 60}} * * * *'", App.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void RedisConnection_AsTheVaultHoldsIt_IsOneThatTheProgramReads()
    {
        var template = Composed().Match(BicepFile.Read("modules/redis.bicep").Text).Groups[1].Value;
        var text = template.Replace("${cluster.properties.hostName}", "name.region.redis.azure.net", StringComparison.Ordinal)
            .Replace("${database.properties.port}", "10000", StringComparison.Ordinal)
            .Replace("${database.listKeys().primaryKey}", "a+b/c=", StringComparison.Ordinal);

        var address = RedisAddress.Parse(text, out var problem);

        Assert.True(address is not null, problem);
        Assert.Equal(("rediss://name.region.redis.azure.net:10000", "a+b/c="), (address.ToString(), address.ToOptions().Password));
    }

    [Theory]
    [InlineData("main.dev.bicepparam")]
    [InlineData("main.prod.bicepparam")]
    public void Example_AsTheProgramGetsIt_IsAValidConfiguration(string name)
    {
        var values = Values(name);
        using var setup = Setup.With(("LLM_BACKENDS", values["backends"]!.ToJsonString()), ("ROADBALANCER_API_KEYS", string.Join(',', ((JsonArray)values["clientKeys"]!).Select(key => (string?)key))));
        foreach (var (variable, secret) in (JsonObject)values["secretSettings"]!)
        {
            setup.Environment[variable] = $"value of {secret}";
        }

        foreach (var (variable, value) in values.TryGetValue("settings", out var settings) ? (JsonObject)settings! : [])
        {
            setup.Environment[variable] = (string)value!;
        }

        setup.Environment[Listening.FunctionsPort] = "50000";
        var result = setup.Load();

        Assert.Equal(("", ""), (OptionsReport.Errors(result), OptionsReport.Warnings(result)));
        Assert.Equal(((JsonArray)values["backends"]!).Count, result.Options!.Backends.Length);
        Assert.All(result.Options.Backends, backend => Assert.StartsWith("value of ", backend.ApiKey, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("main.bicepparam")]
    [InlineData("main.dev.bicepparam")]
    [InlineData("main.prod.bicepparam")]
    public void Example_Parameters_AreDeclaredCompleteAndAllowed(string name)
    {
        var file = BicepFile.Read(name);
        var declared = Main.Of("param").ToDictionary(parameter => parameter.Name);
        var given = file.Of("param").ToDictionary(parameter => parameter.Name);

        Assert.Contains("using 'main.bicep'", file.Text, StringComparison.Ordinal);
        Assert.Empty(file.Undeclared());
        Assert.Empty(given.Keys.Except(declared.Keys));
        Assert.Empty(declared.Values.Where(parameter => !parameter.HasDefault).Select(parameter => parameter.Name).Except(given.Keys));
        foreach (var (parameter, value) in given.Select(pair => (declared[pair.Key], BicepValue.Read(pair.Value.Body))).Where(pair => pair.Item2 is not null))
        {
            var allowed = parameter.Decorator("allowed") is { Count: > 0 } list ? (JsonArray)BicepValue.Read(list)! : null;
            Assert.True(allowed is null || allowed.Any(one => JsonNode.DeepEquals(one, value)), $"{name}: {parameter.Name} must not be {value}");
        }
    }

    [Fact]
    public void AzureYaml_Service_IsTheAppOfTheTemplateAndTheFolderOfTheHook()
    {
        var text = File.ReadAllText(Repository.PathOf("azure.yaml"));
        var tag = TagOfApp().Match(App.Text).Groups[1].Value;
        var folder = Dist().Match(text).Groups[1].Value;

        Assert.Contains($"\n  {tag}:\n", text, StringComparison.Ordinal);
        Assert.Equal(2, Regex.Count(text, $"--self-contained --output {Regex.Escape(folder)}\n?"));
        Assert.True(Directory.Exists(Repository.PathOf("infra", "bicep")));
        Assert.Contains("path: infra/bicep", text, StringComparison.Ordinal);
        Assert.Contains($"/{folder.Split('/')[0]}/", File.ReadAllText(Repository.PathOf(".gitignore")), StringComparison.Ordinal);
    }

    /// <summary>The keys of a variable that is an object, or of what it is unless it is empty.</summary>
    private static string[] Keys(string variable)
    {
        var body = App.Of("var").Single(declared => declared.Name == variable).Body;
        return [.. BicepFile.Entries(body[1].Is("{") ? body : body[body.FindIndex(token => token.Is(":"))..]).Keys];
    }

    private static Dictionary<string, JsonNode?> Values(string name) => BicepFile.Read(name).Of("param").ToDictionary(parameter => parameter.Name, parameter => BicepValue.Read(parameter.Body));

    [GeneratedRegex("value: '(.*ssl=true)'")]
    private static partial Regex Composed();

    [GeneratedRegex("'azd-service-name': '([a-z]+)'")]
    private static partial Regex TagOfApp();

    [GeneratedRegex("dist: (.+)\n")]
    private static partial Regex Dist();
}
