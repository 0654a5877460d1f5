using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Stats;

/// <summary>
/// <c>GET /stats</c>: what has been counted, in the flat form that users of the client module know, with each backend's counters beside it.
/// For those who hold a client key; without client keys, for callers on this machine. A key sees what it has been used for; one of
/// <c>debug_keys</c>, what all have been.
/// </summary>
internal sealed class StatsEndpoint(PoolSource pools, IBalancerState state, KeyGate gate, KeyUsage usage)
{
    public async Task HandleAsync(HttpContext http)
    {
        var pool = pools.Current;
        if (Refuse(http, pool.Keys, out var key) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        var snapshot = await state.ReadAsync(pool.Name, http.RequestAborted);
        var stats = new OrderedDictionary<string, object?>(StatsReport.Of(pool, snapshot).ToDictionary());
        if (key is not null)
        {
            var shown = pool.Options.DebugKeys.Contains(key.Name) ? pool.Keys.Keys : [key];
            stats["keys"] = KeyReport.Of(shown, await usage.ReadAsync());
        }

        var body = JsonSerializer.SerializeToUtf8Bytes(stats);
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }

    private ErrorAnswer? Refuse(HttpContext http, KeyRing keys, out ClientKey? key)
    {
        key = keys.IsOpen ? null : keys.Match(http.Request);
        return key is not null ? gate.Expired(key)
            : !keys.IsOpen
            ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key", "Incorrect or missing API key.")
            : http.Connection.RemoteIpAddress is { } caller && !IPAddress.IsLoopback(caller)
            ? new(StatusCodes.Status403Forbidden, "invalid_request_error", "no_keys_configured",
                "Statistics are told on this machine only until ROADBALANCER_API_KEYS is set.")
            : null;
    }
}
