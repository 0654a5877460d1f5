using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Health;

/// <summary><c>GET /health</c>: the process lives. <c>GET /ready</c>: 200 when at least one backend can take traffic, else 503.</summary>
internal sealed class HealthEndpoint(PoolSource pools, IBalancerState state)
{
    private static readonly byte[] Live = """{"status":"ok"}"""u8.ToArray();
    private static readonly byte[] Ready = """{"status":"ready"}"""u8.ToArray();
    private static readonly byte[] NotReady = """{"status":"no backend can take traffic"}"""u8.ToArray();

    public static Task HealthAsync(HttpContext http) => WriteAsync(http, StatusCodes.Status200OK, Live);

    public async Task ReadyAsync(HttpContext http)
    {
        var isReady = await IsReadyAsync(http.RequestAborted);
        await WriteAsync(http, isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, isReady ? Ready : NotReady);
    }

    private async Task<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        var pool = pools.Current;
        if (pool.Options.Mode == BalancingMode.SingleBackend)
        {
            return true;
        }

        var obstacles = Eligibility.Explain(new AcquireRequest { Pool = pool }, await state.ReadVitalsAsync(pool, cancellationToken));
        return Array.Exists(obstacles, obstacle => obstacle is Obstacle.None or Obstacle.SlowStart or Obstacle.Full or Obstacle.Parked);
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync(body, http.RequestAborted);
        }
    }
}
