using System.Net;
using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>Tells whether a caller is on this machine: where no keys are set, nobody else is told anything.</summary>
/// <remarks>A proxy in front makes everyone look local; the headers that proxies add tell. One that adds none cannot be seen.</remarks>
internal static class LocalCaller
{
    private static readonly string[] PassedOn = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via"];

    public static bool Is(HttpContext http) =>
        http.Connection.RemoteIpAddress is { } caller && IPAddress.IsLoopback(caller) && !Array.Exists(PassedOn, http.Request.Headers.ContainsKey);
}
