using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>
/// <c>GET /stats</c>: what has been counted, in the flat form that users of the client module know, with each backend's counters beside it.
/// For those who hold a client key; without client keys, for callers on this machine.
/// </summary>
internal sealed class StatsEndpoint(PoolSource pools, LifetimeTotals totals)
{
    public async Task HandleAsync(HttpContext http)
    {
        var pool = pools.Current;
        if (Refuse(http, pool.Keys) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        var snapshot = await totals.ReadAsync(pool.Name, http.RequestAborted);
        var body = JsonSerializer.SerializeToUtf8Bytes(StatsReport.Of(pool, snapshot).ToDictionary());
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }

    private static ErrorAnswer? Refuse(HttpContext http, KeyRing keys) =>
        !keys.IsOpen && keys.Find(http.Request) is null
            ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key", "Incorrect or missing API key.")
        : keys.IsOpen && http.Connection.RemoteIpAddress is { } caller && !IPAddress.IsLoopback(caller)
            ? new(StatusCodes.Status403Forbidden, "invalid_request_error", "no_keys_configured",
                "Statistics are told on this machine only until ROADBALANCER_API_KEYS is set.")
        : null;
}
