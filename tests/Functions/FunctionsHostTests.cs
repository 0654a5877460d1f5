using System.Text.Json;
using Roadbalancer.Functions.Hosted;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

public sealed class FunctionsHostTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("roadbalancer-host-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void LimitsOf_WithoutAHost_IsNothing() => Assert.Null(FunctionsHost.LimitsOf(new Dictionary<string, string> { [FunctionsHost.TimeoutVariable] = "00:01:00" }, _folder));

    [Theory]
    [InlineData("""{"version":"2.0","functionTimeout":"01:05:00"}""", "", 3870)]
    [InlineData("""{/* a comment */"nested":{"functionTimeout":"09:00:00"},"functionTimeout":"00:10:00",}""", "", 570)]
    [InlineData("""{"functionTimeout":"01:05:00"}""", "00:05:00", 270)]
    [InlineData("""{"functionTimeout":"00:01:40"}""", "", 90)]
    [InlineData("""{"functionTimeout":"-1"}""", "", null)]
    [InlineData("""{"functionTimeout":"01:05:00"}""", "-1", null)]
    [InlineData("""{"functionTimeout":"soon"}""", "", 270)]
    [InlineData("""{"functionTimeout":7}""", "", 270)]
    [InlineData("""{"version":"2.0"}""", "", 270)]
    [InlineData("nonsense", "", 270)]
    [InlineData(null, "", 270)]
    public void LimitsOf_HostFileAndVariable_GiveTheLongestRequest(string? file, string variable, int? seconds)
    {
        if (file is not null)
        {
            File.WriteAllText(Path.Combine(_folder, "host.json"), file);
        }

        var environment = new Dictionary<string, string> { [Listening.FunctionsPort] = "1", [FunctionsHost.RootVariable] = _folder, [FunctionsHost.TimeoutVariable] = variable };
        var limits = FunctionsHost.LimitsOf(environment, Path.GetTempPath())!;
        Assert.Equal(seconds, limits.LongestRequest?.TotalSeconds);
        Assert.Equal(220, limits.LongestSilence.TotalSeconds);
    }

    /// <summary>The host's patience, the last resort, the longest request and what is configured by default, from above.</summary>
    [Fact]
    public void HostFile_FunctionTimeout_IsAboveTheLongestRequest()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Repository.PathOf("host.json")));
        var functionTimeout = TimeSpan.Parse(json.RootElement.GetProperty("functionTimeout").GetString()!, System.Globalization.CultureInfo.InvariantCulture);
        var limits = FunctionsHost.LimitsOf(new Dictionary<string, string> { [Listening.FunctionsPort] = "1" }, Repository.Root)!;
        var cutoff = FunctionsHost.CutoffOf(limits)!.Value;

        Assert.True(functionTimeout > cutoff && cutoff > limits.LongestRequest, $"{functionTimeout} > {cutoff} > {limits.LongestRequest}");
        Assert.True(limits.LongestRequest >= new BalancerOptions().TotalTimeout, $"{limits.LongestRequest} >= total_timeout by default");
        Assert.True(functionTimeout - limits.LongestRequest >= TimeSpan.FromSeconds(30), "a margin for ending requests");
    }
}
