using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

public sealed class CommandLineTests
{
    [Fact]
    public void Parse_EveryOption_Arrives()
    {
        var line = CommandLine.Parse(["--config", "f", "--strategy=s", "--host", "h", "--port", "p", "--urls", "u", "--demo", "--simulate", "1", "2", "--log-format", "json", "--log-level=debug", "--help", "--version"]);
        Assert.Equal(("f", "s", "h", "p", "u", "json", "debug"), (line.ConfigFile, line.Strategy, line.Host, line.Port, line.Urls, line.LogFormat, line.LogLevel));
        Assert.Equal((true, true, true), (line.Demo, line.Help, line.Version));
        Assert.Equal([1, 2], line.SimulatePorts);
        Assert.Empty(line.Errors);
    }

    [Fact]
    public void Parse_Nothing_IsAllDefaults()
    {
        var line = CommandLine.Parse([]);
        Assert.Equal((null, null, false, false, false), (line.ConfigFile, line.Port, line.Demo, line.Help, line.Version));
        Assert.Empty(line.SimulatePorts);
        Assert.Empty(line.Errors);
    }

    [Fact]
    public void Parse_RepeatedOption_LastCounts() => Assert.Equal("b", CommandLine.Parse(["--host", "a", "--host=b"]).Host);

    [Fact]
    public void Parse_SimulateWithCommasAndEquals_TakesThemAll() => Assert.Equal([0, 7, 8], CommandLine.Parse(["--simulate=0,7", "8", "--demo"]).SimulatePorts);

    [Theory]
    [InlineData("--demmo", "--demmo", "did you mean '--demo'?")]
    [InlineData("--log_level", "--log_level", "did you mean '--log-level'?")]
    [InlineData("--prot=1", "--prot", "did you mean '--port'?")]
    [InlineData("--qqqqqqqqqqqqqq", "--qqqqqqqqqqqqqq", "known are --config")]
    [InlineData("-x", "-x", "unknown option")]
    [InlineData("--port", "--port", "needs a value")]
    [InlineData("--port=", "--port", "needs a value")]
    [InlineData("--demo=yes", "--demo", "takes no value")]
    [InlineData("--simulate", "--simulate", "at least one port")]
    [InlineData("--simulate=x", "--simulate", "ports")]
    [InlineData("--simulate=65536", "--simulate", "ports")]
    [InlineData("file.yaml", "argument", "'file.yaml' belongs to no option")]
    [InlineData("", "argument", "belongs to no option")]
    public void Parse_WrongArgument_IsOneError(string argument, string key, string problem)
    {
        var error = Assert.Single(CommandLine.Parse([argument]).Errors);
        Assert.Equal(key, error.Key);
        Assert.Contains(problem, error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_OptionWhereAValueIsDue_IsNotTakenForIt()
    {
        var line = CommandLine.Parse(["--config", "--demo"]);
        Assert.Equal("--config", Assert.Single(line.Errors).Key);
        Assert.True(line.Demo);
    }

    [Fact]
    public void Parse_ValueOfUnknownOption_IsSkippedUnseen()
    {
        var error = Assert.Single(CommandLine.Parse(["--api-key", "sk-secret", "--demo"]).Errors);
        Assert.Equal("--api-key", error.Key);
        Assert.DoesNotContain("sk-secret", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Usage_EveryOption_IsExplained()
    {
        foreach (var name in new[] { "--config", "--strategy", "--host", "--port", "--urls", "--demo", "--simulate", "--log-format", "--log-level", "--help", "--version" })
        {
            Assert.Contains(name, CommandLine.Usage, StringComparison.Ordinal);
        }
    }
}
