using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Wire;

namespace Roadbalancer.Health;

/// <summary>Reads how long a backend asks to be left alone.</summary>
internal static class RetryAfterReader
{
    /// <summary>The longest wait that is believed: what asks for more is more likely a unit mistaken than a plan.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromHours(24);

    private static readonly SearchValues<char> _numeric = SearchValues.Create("0123456789.");

    private static readonly string[] _dateFormats =
    [
        "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
        "dddd, dd-MMM-yy HH:mm:ss 'GMT'",
        "ddd MMM d HH:mm:ss yyyy",
    ];

    /// <summary>
    /// The wait, from zero to 24 hours; null when the answer names none that can be read. In this order: <c>retry-after-ms</c>;
    /// <c>Retry-After</c> (RFC 9110 §10.2.3, seconds or date, and fractions of seconds, which some servers send); for a 429 the longer of
    /// <c>x-ratelimit-reset-requests</c> and <c>x-ratelimit-reset-tokens</c>, each counted only when its limit is used up:
    /// its <c>x-ratelimit-remaining-*</c> is 0 or missing.
    /// </summary>
    /// <param name="now">Now, for a wait that is given as a date.</param>
    public static TimeSpan? Read(int status, WireHeaders headers, DateTimeOffset now)
    {
        if (ValueOf(headers, "retry-after-ms") is { } ms && TryReadNumber(ms, out var milliseconds))
        {
            return Bound(milliseconds / 1000);
        }

        if (ValueOf(headers, "Retry-After") is { } value)
        {
            if (TryReadNumber(value, out var seconds))
            {
                return Bound(seconds);
            }

            if (TryReadDate(value, out var date))
            {
                return Bound((date - now).TotalSeconds);
            }
        }

        if (status != StatusCodes.Status429TooManyRequests)
        {
            return null;
        }

        var requests = ReadReset(headers, "x-ratelimit-reset-requests", "x-ratelimit-remaining-requests");
        var tokens = ReadReset(headers, "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens");
        return requests is null || tokens > requests ? tokens : requests;
    }

    private static TimeSpan? ReadReset(WireHeaders headers, string resetName, string remainingName)
    {
        if (ValueOf(headers, resetName) is not { } reset || !TryReadDuration(reset, out var seconds))
        {
            return null;
        }

        var isUsedUp = ValueOf(headers, remainingName) is not { } remaining || (TryReadNumber(remaining, out var left) && left <= 0);
        return isUsedUp ? Bound(seconds) : null;
    }

    /// <summary>The header as it was sent; the typed accessors would refuse what real servers send.</summary>
    private static string? ValueOf(WireHeaders headers, string name) =>
        headers[name]?.Trim();

    private static TimeSpan Bound(double seconds) => TimeSpan.FromSeconds(Math.Clamp(seconds, 0, Longest.TotalSeconds));

    private static bool TryReadNumber(ReadOnlySpan<char> text, out double number) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number)
        && double.IsFinite(number);

    private static bool TryReadDate(string text, out DateTimeOffset date) => DateTimeOffset.TryParseExact(
        text,
        _dateFormats,
        CultureInfo.InvariantCulture,
        DateTimeStyles.AssumeUniversal | DateTimeStyles.AllowInnerWhite,
        out date);

    /// <summary>Seconds in <c>6m0s</c>, <c>20ms</c>, <c>1h2m3.5s</c> (Go's notation, as OpenAI sends it), or a plain number of seconds.</summary>
    private static bool TryReadDuration(ReadOnlySpan<char> text, out double seconds)
    {
        if (TryReadNumber(text, out seconds))
        {
            return true;
        }

        if (text.IsEmpty)
        {
            return false;
        }

        seconds = 0;
        while (!text.IsEmpty)
        {
            var digits = text.IndexOfAnyExcept(_numeric);
            if (digits <= 0 || !TryReadNumber(text[..digits], out var amount))
            {
                return false;
            }

            text = text[digits..];
            var letters = text.IndexOfAny(_numeric);
            letters = letters < 0 ? text.Length : letters;
            var unit = SecondsIn(text[..letters]);
            if (unit == 0)
            {
                return false;
            }

            seconds += amount * unit;
            text = text[letters..];
        }

        return double.IsFinite(seconds);
    }

    private static double SecondsIn(ReadOnlySpan<char> unit) => unit switch
    {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        "ms" => 1e-3,
        "us" or "µs" or "μs" => 1e-6,
        "ns" => 1e-9,
        _ => 0,
    };
}
