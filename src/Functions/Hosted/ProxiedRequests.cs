using System.Net;

namespace Roadbalancer.Functions.Hosted;

/// <summary>Requests as the Functions host passes them on: puts right what they say of the client, and sees to it that none outlasts the host's patience.</summary>
/// <param name="longest">The last moment of a request: beyond <c>total_timeout</c>, which ends it in words, and before <c>functionTimeout</c>; null for none.</param>
/// <param name="time">Measures it.</param>
internal sealed class ProxiedRequests(TimeSpan? longest, TimeProvider time)
{
    private const string ForwardedHost = "X-Forwarded-Host";
    private const string ForwardedProto = "X-Forwarded-Proto";

    public async Task InvokeAsync(HttpContext http, RequestDelegate next)
    {
        ShowClient(http);
        if (longest is not { } limit)
        {
            await next(http);
            return;
        }

        // Whatever a request does, a client that takes its answer byte by byte for instance: an end of this one is better than that of all.
        await using var cutoff = time.CreateTimer(static context => ((HttpContext)context!).Abort(), http, limit, Timeout.InfiniteTimeSpan);
        await next(http);
    }

    /// <summary>
    /// The address that the client asked for in place of this program's own. Every request comes from the host, on this machine; its sender is nobody
    /// here, so that nothing is granted to it for being near (<c>X-Forwarded-For</c> is worth what its sender is).
    /// </summary>
    private static void ShowClient(HttpContext http)
    {
        http.Connection.RemoteIpAddress = IPAddress.None;
        var headers = http.Request.Headers;
        if (headers[ForwardedHost] is not { Count: > 0 } hosts)
        {
            return;
        }

        http.Request.Host = new HostString(Last(hosts));
        var scheme = Last(headers[ForwardedProto]);
        if (scheme is "http" or "https")
        {
            http.Request.Scheme = scheme;
        }

        headers.Remove(ForwardedHost);
        headers.Remove(ForwardedProto);
    }

    /// <summary>What the nearest forwarder wrote; what stands before it may be the client's invention.</summary>
    private static string Last(string? values) => values is null ? "" : values[(values.LastIndexOf(',') + 1)..].Trim();
}
