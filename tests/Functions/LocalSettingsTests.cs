using System.Text.Json;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

/// <summary><c>local.settings.sample.json</c>: what a newcomer copies.</summary>
public sealed class LocalSettingsTests
{
    /// <summary>The host says where to listen, and keeps what lasts.</summary>
    private static readonly string[] OfTheHost = ["HOST", "PORT", "ROADBALANCER_DATA"];

    private static readonly Dictionary<string, string> Values = Read();

    [Fact]
    public void Sample_HasEverySettingWithAVariable()
    {
        var missing = SettingTable.Rows.Select(row => row.VariableB ?? row.Variable).OfType<string>().Except(OfTheHost).Except(Values.Keys);
        Assert.Empty(missing);
    }

    [Fact]
    public void Sample_AsItIs_LoadsThreeBackendsAndTheDefaults()
    {
        var result = Load();
        Assert.True(result.IsValid, OptionsReport.Errors(result));
        Assert.Equal("anyone who can reach this address can use the backends and their keys; set ROADBALANCER_API_KEYS", Assert.Single(result.Warnings));
        Assert.Equal(3, result.Options.Backends.Length);

        var defaults = new BalancerOptions { StreamKeepAlive = TimeSpan.FromSeconds(30), LongestSilence = result.Options.LongestSilence };
        Assert.Equal(defaults, result.Options with
        {
            Backends = defaults.Backends,
            Redis = null,
            BehindFunctionsHost = false,
            BackendDefaults = defaults.BackendDefaults,
            AllowedBackendHosts = defaults.AllowedBackendHosts,
        });
    }

    [Fact]
    public void Sample_Schedules_FollowTheIntervals()
    {
        Assert.Equal($"*/{Values["HEALTH_CHECK_INTERVAL"]} * * * * *", Values["HEALTH_CHECK_SCHEDULE"]);
        Assert.Equal($"*/{Values["ROADBALANCER_SETTLE_INTERVAL"]} * * * * *", Values["SETTLE_SCHEDULE"]);
    }

    [Fact]
    public void Sample_HasWhatTheHostNeedsAndNoSecret()
    {
        Assert.Equal(("UseDevelopmentStorage=true", "custom"), (Values["AzureWebJobsStorage"], Values["FUNCTIONS_WORKER_RUNTIME"]));
        Assert.DoesNotContain(Values, value => value.Key.Contains("KEYS", StringComparison.Ordinal) && value.Value.Length > 0);
        Assert.DoesNotContain("api_key", Values["LLM_BACKENDS"], StringComparison.Ordinal);
    }

    private static OptionsResult Load()
    {
        var environment = new Dictionary<string, string>(Values) { [Listening.FunctionsPort] = "7071" };
        return new OptionsLoader(environment, CommandLine.Parse([]), Path.GetTempPath()) { Limits = new HostLimits(null, TimeSpan.FromSeconds(220)) }.Load();
    }

    private static Dictionary<string, string> Read()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Repository.PathOf("local.settings.sample.json")));
        return json.RootElement.GetProperty("Values").EnumerateObject().ToDictionary(value => value.Name, value => value.Value.GetString()!);
    }
}
