using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Stats;

/// <summary>
/// <c>GET /stats</c>: what has been counted, in the flat form that users of the client module know, with each backend's counters beside it.
/// For those whom <see cref="ReadingRight"/> lets read.
/// </summary>
internal sealed class StatsEndpoint(PoolSource pools, IBalancerState state)
{
    public async Task HandleAsync(HttpContext http)
    {
        var pool = pools.Current;
        if (ReadingRight.Refuse(http, pool) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        var snapshot = await state.ReadAsync(pool.Name, http.RequestAborted);
        var body = JsonSerializer.SerializeToUtf8Bytes(StatsReport.Of(pool, snapshot).ToDictionary());
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
