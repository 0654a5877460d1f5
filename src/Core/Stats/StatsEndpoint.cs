using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>
/// <c>GET /stats</c>: what has been counted, in the flat form that users of the client module know, with each backend's counters beside it.
/// For those whom <see cref="ReadingRight"/> lets read. A client key sees what it has been used for; one of <c>debug_keys</c>, an admin key, or
/// whoever may read without a key, what all have been.
/// </summary>
internal sealed class StatsEndpoint(PoolSource pools, LifetimeTotals totals, ReadingRight right, KeyTotals keyTotals)
{
    public async Task HandleAsync(HttpContext http)
    {
        var pool = pools.Current;
        if (right.Refuse(http, pool, out var key) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        var snapshot = await totals.ReadAsync(pool.Name, http.RequestAborted);
        var stats = new OrderedDictionary<string, object?>(StatsReport.Of(pool, snapshot).ToDictionary());
        if (!pool.Keys.IsOpen)
        {
            var shown = key is null || pool.Options.DebugKeys.Contains(key.Name) ? pool.Keys.Keys : [key];
            stats["keys"] = KeyReport.Of(shown, await keyTotals.ReadAsync(shown.Select(one => one.Name)));
        }

        var body = JsonSerializer.SerializeToUtf8Bytes(stats);
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
