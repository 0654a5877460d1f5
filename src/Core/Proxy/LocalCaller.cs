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
}
