using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Roadbalancer.Health;
using Roadbalancer.Ledger;
using Roadbalancer.Proxy;

namespace Roadbalancer.Functions.Hosted;

/// <summary>
/// What the Functions host itself asks of the program: to run the functions that no HTTP request triggers, by <c>POST /NAME</c>, and <c>GET /</c> to learn
/// whether it is there. Everything else goes on to the balancer.
/// </summary>
/// <remarks>
/// These paths are nobody else's: no route of an HTTP function leads to one, they are mapped only under the host, and only for a request line that
/// names them to the letter, not by escapes or dots that the server resolves.
/// </remarks>
internal sealed partial class HostCalls(ProbeRun probes, SettleTimer settle, TimeProvider time, ILogger<HostCalls> log)
{
    /// <summary>The largest call of a timer, in bytes.</summary>
    private const int TimerLimit = 64 * 1024;

    public Task InvokeAsync(HttpContext http, RequestDelegate next) =>
        (http.Request.Method, http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget) switch
        {
            ("POST", "/HealthCheck") => TimerAsync(http, "HealthCheck", async (_, stop) => await probes.RunAsync(stop)),
            ("POST", "/Settle") => TimerAsync(http, "Settle", SettleAsync),
            ("POST", "/BackendEntity" or "/KeyEntity") => EntityAsync(http, state => new BackendRun(state)),
            ("POST", "/RegistryEntity") => EntityAsync(http, state => new RegistryRun(state)),
            ("GET", "/") => HealthEndpoint.HealthAsync(http),
            _ => next(http),
        };

    private async Task<string?> SettleAsync(PooledBytes call, CancellationToken cancellationToken) =>
        SettleTimer.ClientOf(Invocation.Input(call.Memory, SettleTimer.ClientName)) is { } client ? await settle.RunAsync(client, cancellationToken) : null;

    /// <param name="run">Null for a call that cannot be used.</param>
    private async Task TimerAsync(HttpContext http, string name, Func<PooledBytes, CancellationToken, Task<string?>> run)
    {
        using var call = new PooledBytes();
        string? report = null;
        if (await ReadAsync(http.Request, TimerLimit, call) && Invocation.Input(call.Memory, "timer") is { ValueKind: JsonValueKind.Object })
        {
            try
            {
                report = await run(call, http.RequestAborted);
            }
            catch (Exception exception) when (!http.RequestAborted.IsCancellationRequested)
            {
                LogTimerFailed(exception, name);
                report = $"Failed by a fault of the program: {exception.GetType().Name}";
            }
        }

        if (report is null)
        {
            LogTimerRefused(name);
            await WriteAsync(http, StatusCodes.Status400BadRequest, """{"error":{"message":"Not a call of a timer: Data.timer, or what else the function needs, is missing.","code":"malformed_timer"}}"""u8.ToArray());
            return;
        }

        LogTimerRan(name, report);
        await WriteAsync(http, StatusCodes.Status200OK, Invocation.Reply(report, default, hasValue: false));
    }

    private async Task EntityAsync(HttpContext http, Func<string?, IEntityRun> begin)
    {
        using var call = new PooledBytes();
        var reply = await ReadAsync(http.Request, EntityBatch.Limit, call)
            ? EntityBatch.Answer(call.Memory, begin, time)
            : EntityBatch.Refuse($"the call is larger than {EntityBatch.Limit} bytes");
        if (reply.Refused)
        {
            LogBatchRefused(reply.Report);
        }
        else
        {
            LogBatch(reply.Report);
        }

        await WriteAsync(http, StatusCodes.Status200OK, Invocation.Reply(reply.Report, reply.Result, hasValue: true));
    }

    /// <summary>Reads the whole body; false when it is larger than <paramref name="limit"/>.</summary>
    private static async ValueTask<bool> ReadAsync(HttpRequest request, int limit, PooledBytes body)
    {
        if (request.ContentLength > limit)
        {
            return false;
        }

        int read;
        do
        {
            read = await request.Body.ReadAsync(body.GetMemory(16 * 1024), request.HttpContext.RequestAborted);
            body.Advance(read);
        }
        while (read > 0 && body.Length <= limit);
        return body.Length <= limit;
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
