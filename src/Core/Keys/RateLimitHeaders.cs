using System.Globalization;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>
/// What a client is told of its key's limits: <c>x-ratelimit-limit-requests</c>, <c>-remaining-requests</c>, <c>-reset-requests</c>, and the
/// same for tokens (OpenAI API reference, «Rate limits», «Rate limits in headers»). Of a limit that the key does not have nothing is said.
/// </summary>
internal static class RateLimitHeaders
{
    private static readonly string[] Requests = ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    private static readonly string[] Tokens = ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];

    /// <summary>In place of the backend's own, which speak of the balancer's account there.</summary>
    public static void Write(IHeaderDictionary headers, KeyLimits limits, in KeyVerdict verdict)
    {
        Write(headers, Requests, limits.RequestsPerMinute, verdict.UsedRequests, verdict.Reset);
        Write(headers, Tokens, limits.TokensPerMinute, verdict.UsedTokens, verdict.Reset);
    }

    /// <summary>As OpenAI writes times: <c>250ms</c>, <c>8.64s</c>, <c>6m0s</c>.</summary>
    public static string Format(TimeSpan time)
    {
        var ms = Math.Max(0, (long)Math.Ceiling(time.TotalMilliseconds));
        return ms is > 0 and < 1_000 ? string.Create(CultureInfo.InvariantCulture, $"{ms}ms")
            : ms < 60_000 ? string.Create(CultureInfo.InvariantCulture, $"{ms / 1_000m:0.###}s")
            : string.Create(CultureInfo.InvariantCulture, $"{ms / 60_000}m{ms % 60_000 / 1_000m:0.###}s");
    }

    private static void Write(IHeaderDictionary headers, string[] names, long? limit, long used, TimeSpan reset)
    {
        if (limit is not { } most)
        {
            foreach (var name in names)
            {
                headers.Remove(name);
            }

            return;
        }

        headers[names[0]] = most.ToString(CultureInfo.InvariantCulture);
        headers[names[1]] = Math.Max(0, most - used).ToString(CultureInfo.InvariantCulture);
        headers[names[2]] = Format(reset);
    }
}
