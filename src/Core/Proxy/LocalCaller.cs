using System.Net;
using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>Tells whether a caller is on this machine: where no keys are set, nobody else is told anything.</summary>
/// <remarks>
/// A proxy in front makes everyone look local; the headers that proxies add tell, and so does HTTP/1.0, which nginx speaks unless told otherwise and
/// nothing else does any more. A proxy that does neither cannot be seen.
/// </remarks>
internal static class LocalCaller
{
    private static readonly string[] PassedOn = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"];

    public static bool Is(HttpContext http) =>
        http.Connection.RemoteIpAddress is { } caller && IPAddress.IsLoopback(caller) && !HttpProtocol.IsHttp10(http.Request.Protocol) && !Array.Exists(PassedOn, http.Request.Headers.ContainsKey);

    /// <summary>
    /// Whether the request asks for this machine by a name of its own and comes from no other site's page: such a page can send requests from here (its
    /// <c>Origin</c> tells), and a name of its site can be made to point here (<c>Host</c> tells).
    /// </summary>
    public static bool IsOwn(HttpRequest request)
    {
        var (origin, site) = (request.Headers.Origin.ToString(), request.Headers["Sec-Fetch-Site"].ToString());
        return IsLocalName(request.Host.Host)
            && (origin.Length == 0 || origin.Equals($"http://{request.Host.Value}", StringComparison.OrdinalIgnoreCase))
            && (site is "" or "none" or "same-origin" || IsFollowedLink(request));
    }

    /// <summary>A link in another page: what it leads to is shown to who followed it, and the other page sees nothing of it.</summary>
    private static bool IsFollowedLink(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && request.Headers["Sec-Fetch-Mode"] == "navigate" && request.Headers["Sec-Fetch-Dest"] == "document";

    private static bool IsLocalName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
