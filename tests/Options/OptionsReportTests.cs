using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

public sealed class OptionsReportTests
{
    [Fact]
    public void Errors_SeveralErrors_OneLineEachWithKeyValueAndRange()
    {
        using var setup = Setup.Yaml("retry_count: many\nendpoints:\n  - url: http://a\n    weight: -1\n");
        Assert.Equal(
            """
            The configuration has 2 errors:
              retry_count: 'many' is not valid; must be a whole number from 0 to 100 (config.yaml, line 1)
              endpoints[0].weight: '-1' is not valid; must be a whole number from 0 to 1,000,000 (config.yaml, line 4)

            """.ReplaceLineEndings("\n"),
            OptionsReport.Errors(setup.Load()));
    }

    [Fact]
    public void Errors_HostileValue_IsShortenedAndStaysInItsLine()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("MAX_RETRIES", "1\u001b[31m\r\n2" + new string('x', 10_000)));
        var text = OptionsReport.Errors(setup.Load());
        Assert.InRange(text.Length, 1, 300);
        Assert.Equal(2, text.Count(letter => letter == '\n'));
        Assert.DoesNotContain('\u001b', text);
    }

    [Fact]
    public void Errors_ValidOptions_IsEmpty()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"));
        Assert.Equal("", OptionsReport.Errors(setup.Load()));
        Assert.Equal("", OptionsReport.Warnings(setup.Load()));
    }

    [Theory]
    [InlineData("http://a", "false", "Mode: single backend without balancing; every request goes straight to a:80")]
    [InlineData("http://a", "true", "Mode: one backend with balancing; a:80 gets health checks, retries and metrics")]
    [InlineData("http://a,http://b", "", "Mode: balancing over 2 backends by round_robin")]
    public void Mode_EachMode_HasItsLine(string endpoints, string enabled, string line)
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", endpoints), ("LOAD_BALANCE_ENABLED", enabled));
        Assert.Equal(line, OptionsReport.Mode(setup.Options()));
    }

    [Fact]
    public void Backends_EachBackend_IsOneLine()
    {
        using var setup = Setup.Yaml("endpoints: [{url: 'https://a?k=1', api_key: s, tags: [x, y], model_name: m}, {url: 'http://b', weight: 0, enabled: false}]");
        Assert.Equal(
            [
                "a:443: https://a/v1, weight 1, priority 0, at most 100 requests, key as bearer, model m, tags x y",
                "b:80: http://b/v1, weight 0, priority 0, at most 100 requests, no key, disabled, drained",
            ],
            OptionsReport.Backends(setup.Options()));
    }
}
