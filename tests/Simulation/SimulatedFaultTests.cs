using Roadbalancer.Simulation;

namespace Roadbalancer.Tests.Simulation;

public sealed class SimulatedFaultTests
{
    [Theory]
    [InlineData("status=429,retry_after=3")]
    [InlineData("sim;status=429;retry_after=3")]
    [InlineData("sim:retry_after=3")]
    [InlineData("sim-retry_after=3")]
    public void Parse_AnyForm_GivesTheSameFault(string text)
    {
        var fault = SimulatedFault.Parse(text);

        Assert.Equal((429, 3), (fault.Error?.Status, fault.RetryAfterSeconds));
    }

    [Fact]
    public void Parse_PaceAndBreak_AreKeptTogether()
    {
        var fault = SimulatedFault.Parse("first_token_ms=2000,tps=50,fail=0.3,cut_after=5,no_done");

        Assert.Equal((TimeSpan.FromSeconds(2), 50.0, 0.3), (fault.FirstTokenDelay, fault.TokensPerSecond, fault.FailureRatio));
        Assert.Equal((AnswerBreak.Reset, 5, true), (fault.Break, fault.BreakAfter, fault.NoDone));
    }

    [Theory]
    [InlineData("explode")]
    [InlineData("status=200")]
    [InlineData("status=often")]
    [InlineData("cut_after")]
    [InlineData("tps=-1")]
    public void Parse_UnknownOrWithoutNumber_SaysWhich(string text)
    {
        var error = Assert.Throws<FormatException>(() => SimulatedFault.Parse(text));

        Assert.Contains(text, error.Message, StringComparison.Ordinal);
    }
}
