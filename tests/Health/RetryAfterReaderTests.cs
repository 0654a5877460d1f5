using Roadbalancer.Health;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Health;

public sealed class RetryAfterReaderTests
{
    private static readonly DateTimeOffset _now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("5", 5d)]
    [InlineData("0", 0d)]
    [InlineData("1.5", 1.5d)]
    [InlineData("-3", 0d)]
    [InlineData(" 7 ", 7d)]
    [InlineData("99999999", 86_400d)]
    [InlineData("Sun, 22 Nov 2026 12:00:30 GMT", 30d)]
    [InlineData("Sunday, 22-Nov-26 12:00:30 GMT", 30d)]
    [InlineData("Sun Nov 22 12:00:30 2026", 30d)]
    [InlineData("Sun, 22 Nov 2026 11:00:00 GMT", 0d)]
    [InlineData("Tue, 22 Nov 2050 11:00:00 GMT", 86_400d)]
    [InlineData("soon", null)]
    [InlineData("", null)]
    [InlineData("NaN", null)]
    [InlineData("Infinity", null)]
    [InlineData("1e3", null)]
    [InlineData("5, 6", null)]
    public void Read_RetryAfter_IsSecondsOrDate(string value, double? expected) => AssertWait(expected, 503, ("Retry-After", value));

    [Theory]
    [InlineData("250", 0.25d)]
    [InlineData("-1", 0d)]
    [InlineData("x", 9d)]
    public void Read_RetryAfterMs_ComesFirstWhereReadable(string value, double expected) =>
        AssertWait(expected, 429, ("Retry-After", "9"), ("retry-after-ms", value));

    [Theory]
    [InlineData("6m0s", 360d)]
    [InlineData("1s", 1d)]
    [InlineData("20ms", 0.02d)]
    [InlineData("1h2m3.5s", 3723.5d)]
    [InlineData("1m0.5s", 60.5d)]
    [InlineData("12", 12d)]
    [InlineData("0", 0d)]
    [InlineData("-5", 0d)]
    [InlineData("2d", 86_400d)]
    [InlineData("6m0", null)]
    [InlineData("s", null)]
    [InlineData("1.2.3s", null)]
    [InlineData("1 s", null)]
    [InlineData("5y", null)]
    [InlineData("", null)]
    public void Read_RateLimitReset_IsADuration(string value, double? expected)
    {
        AssertWait(expected, 429, ("x-ratelimit-reset-requests", value));
        AssertWait(expected, 429, ("x-ratelimit-reset-tokens", value));
        AssertWait(null, 503, ("x-ratelimit-reset-tokens", value));
    }

    [Theory]
    [InlineData(null, null, 9d)]
    [InlineData("0", "0", 9d)]
    [InlineData("0", "1", 2d)]
    [InlineData("1", "0", 9d)]
    [InlineData("1", null, 9d)]
    [InlineData("1", "100", null)]
    [InlineData("x", "x", null)]
    public void Read_RateLimitResets_CountWhenUsedUp(string? remainingRequests, string? remainingTokens, double? expected) => AssertWait(
        expected,
        429,
        ("x-ratelimit-reset-requests", "2s"),
        ("x-ratelimit-reset-tokens", "9s"),
        ("x-ratelimit-remaining-requests", remainingRequests),
        ("x-ratelimit-remaining-tokens", remainingTokens));

    [Fact]
    public void Read_UnreadableRetryAfter_FallsBackToResets() =>
        AssertWait(4, 429, ("Retry-After", "soon"), ("x-ratelimit-reset-requests", "4s"), ("x-ratelimit-reset-tokens", "3s"));

    [Fact]
    public void Read_NoHeaders_IsNull() => AssertWait(null, 429);

    private static void AssertWait(double? seconds, int status, params (string Name, string? Value)[] headers)
    {
        var given = new WireHeaders();
        foreach (var (name, value) in headers)
        {
            if (value is not null)
            {
                given.Add(name, value);
            }
        }

        Assert.Equal(seconds is { } s ? TimeSpan.FromSeconds(s) : null, RetryAfterReader.Read(status, given, _now));
    }
}
