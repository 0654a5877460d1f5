using Roadbalancer.Cli;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Tests.Cli;

/// <summary>Where the balancer is looked for, and how values are told.</summary>
public sealed class WordsTests
{
    [Theory]
    [InlineData("http://given:1/", "http://given:1/v1", "http://variable", "h", "2")]
    [InlineData("http://variable/", null, "variable", "h", "2")]
    [InlineData("http://h:2/", null, "", "h", "2")]
    [InlineData("http://127.0.0.1:2/", null, null, "0.0.0.0", "2")]
    [InlineData("http://[::1]:5000/", null, null, "::1", null)]
    [InlineData("http://127.0.0.1:5000/", null, null, null, null)]
    [InlineData("https://example.test/balancer/", "https://example.test/balancer/", null, null, null)]
    [InlineData(null, "ftp://x", null, null, null)]
    [InlineData(null, "http://user:secret@x", null, null, null)]
    [InlineData(null, null, null, null, "port")]
    public void Find_FromOptionAndEnvironment_TakesTheFirstThatIsThere(string? expected, string? given, string? url, string? host, string? port)
    {
        var found = ServerAddress.Find(given, name => name switch { "ROADBALANCER_URL" => url, "HOST" => host, "PORT" => port, _ => null }, out var problem);

        Assert.Equal((expected, expected is null), (found?.AbsoluteUri, problem.Length > 0));
    }

    [Theory]
    [InlineData(null, "-")]
    [InlineData(0.0, "0 s")]
    [InlineData(0.00123, "1.2 ms")]
    [InlineData(0.25, "250 ms")]
    [InlineData(0.9996, "1.00 s")]
    [InlineData(12.34, "12.3 s")]
    [InlineData(3600.0, "60 min")]
    public void Duration_OfSeconds_HasThreeDigits(double? seconds, string expected) => Assert.Equal(expected, Words.Duration(seconds));

    [Theory]
    [InlineData(null, "-")]
    [InlineData(1.0, "100%")]
    [InlineData(0.99996, "99.9%")]
    [InlineData(0.5, "50.0%")]
    public void Ratio_BelowOne_IsNeverRoundedUpToAll(double? ratio, string expected) => Assert.Equal(expected, Words.Ratio(ratio));

    [Theory]
    [InlineData(10, " ▁█ ", new[] { 0.0, 1, 100, 0 })]
    [InlineData(2, "▄█", new[] { 1.0, 1, 2, 2 })]
    [InlineData(4, "  ", new[] { 0.0, 0 })]
    [InlineData(4, "", new double[0])]
    public void Draw_OfValues_FitsIntoTheWidth(int width, string expected, double[] values) => Assert.Equal(expected, Sparkline.Draw(values, width));
}
