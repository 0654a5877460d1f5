using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>What a platform in front of the program allows, against what is configured.</summary>
public sealed class HostLimitsTests
{
    private static readonly HostLimits Limits = new(TimeSpan.FromSeconds(100), TimeSpan.FromSeconds(220));

    [Fact]
    public void Load_TotalTimeoutBeyondTheLimit_IsCappedWithAWarning()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_TOTAL_TIMEOUT", "7200"), ("ROADBALANCER_API_KEYS", "k=secret"));
        var result = Load(setup, Limits);
        Assert.Equal(TimeSpan.FromSeconds(100), result.Options!.TotalTimeout);
        Assert.StartsWith("total_timeout is 100 instead of 7200", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WithinTheLimit_StaysAsConfigured()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_TOTAL_TIMEOUT", "90"), ("ROADBALANCER_API_KEYS", "k=secret"));
        var result = Load(setup, Limits);
        Assert.Equal(TimeSpan.FromSeconds(90), result.Options!.TotalTimeout);
        Assert.Empty(result.Warnings);
    }

    [Fact]
    public void Load_NoLimitOfTime_StaysAsConfigured()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_TOTAL_TIMEOUT", "7200"));
        Assert.Equal(TimeSpan.FromSeconds(7200), Load(setup, Limits with { LongestRequest = null }).Options!.TotalTimeout);
    }

    [Theory]
    [InlineData(true, "", 30)]
    [InlineData(true, "0", 0)]
    [InlineData(true, "7", 7)]
    [InlineData(true, "600", 220)]
    [InlineData(false, "", 0)]
    [InlineData(false, "600", 600)]
    public void Load_StreamKeepAlive_HasADefaultAndAMostBehindAPlatform(bool behind, string configured, int seconds)
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_STREAM_KEEP_ALIVE", configured));
        var options = Load(setup, behind ? Limits : null).Options!;
        Assert.Equal(TimeSpan.FromSeconds(seconds), options.StreamKeepAlive ?? TimeSpan.Zero);
        Assert.Equal(behind ? TimeSpan.FromSeconds(220) : null, options.LongestSilence);
    }

    private static OptionsResult Load(Setup setup, HostLimits? limits) =>
        new OptionsLoader(setup.Environment, CommandLine.Parse(setup.Arguments), setup.Folder) { Limits = limits }.Load();
}
