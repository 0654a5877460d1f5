using System.Net;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>
/// Who may read what has been counted, at <c>/stats</c> and <c>/metrics</c> alike: those who hold a client key; without client keys, callers on this
/// machine that come without anything in between.
/// </summary>
internal static class ReadingRight
{
    /// <summary>What a proxy in front of the process adds. Behind one every caller seems to be on this machine; the Functions host adds <c>X-Forwarded-Host</c>.</summary>
    private static readonly string[] ForwardedBy = ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via"];

    /// <summary>The answer to a caller who may not; null for one who may.</summary>
    public static ErrorAnswer? Refuse(HttpContext http, Pool pool)
    {
        if (!pool.Keys.IsOpen)
        {
            return pool.Keys.Find(http.Request) is null
                ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key", "Incorrect or missing API key.")
                : null;
        }

        return IsOnThisMachine(http)
            ? null
            : new(StatusCodes.Status403Forbidden, "invalid_request_error", "no_keys_configured",
                "Statistics are told on this machine only until ROADBALANCER_API_KEYS is set.");
    }

    private static bool IsOnThisMachine(HttpContext http) =>
        (http.Connection.RemoteIpAddress is not { } caller || IPAddress.IsLoopback(caller))
        && !Array.Exists(ForwardedBy, http.Request.Headers.ContainsKey);
}
