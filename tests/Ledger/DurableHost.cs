using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Ledger;

namespace Roadbalancer.Tests.Ledger;

/// <summary>The durable HTTP API as it was observed, on a loopback port: 202, 200, 400, 401, 404, pages; and what a test wants instead.</summary>
internal sealed class DurableHost : IAsyncDisposable
{
    public const string Query = "taskHub=Hub&connection=Storage&code=s3cret";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<(string Entity, string Key), string> _states = new();

    private DurableHost(WebApplication app) => _app = app;

    public Uri BaseUrl { get; private set; } = null!;

    public HttpClient Http { get; } = new(new SocketsHttpHandler { UseProxy = false });

    /// <summary>Handles a request instead; true when it did.</summary>
    public Func<HttpContext, Task<bool>> Instead { get; set; } = _ => Task.FromResult(false);

    public int PageSize { get; init; } = 3;

    public ConcurrentQueue<string> Requests { get; } = new();

    public static async Task<DurableHost> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var host = new DurableHost(builder.Build());
        host._app.Run(host.AnswerAsync);
        await host._app.StartAsync();
        host.BaseUrl = new Uri(host._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/runtime/webhooks/durabletask");
        return host;
    }

    public DurableLedger Ledger(TimeProvider? time = null, string query = Query) => new(Http, BaseUrl, query, time ?? TimeProvider.System);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        Requests.Enqueue($"{http.Request.Method} {http.Request.Path}{http.Request.QueryString}");
        if (await Instead(http))
        {
            return;
        }

        var path = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var (entity, key) = (path[4], path.Length > 5 ? path[5] : null);
        if (http.Request.Query["code"] != "s3cret")
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
        }
        else if (entity is not (BackendEntity.Name or KeyEntity.Name or RegistryEntity.Name))
        {
            http.Response.StatusCode = StatusCodes.Status400BadRequest;
        }
        else if (key is null)
        {
            await ListAsync(http, entity);
        }
        else if (http.Request.Method == "POST")
        {
            using var body = new StreamReader(http.Request.Body);
            var reply = MemoryLedger.Apply(entity, _states.GetValueOrDefault((entity, key)), http.Request.Query["op"]!, await body.ReadToEndAsync(http.RequestAborted));
            _states[(entity, key)] = reply.State ?? "null";
            http.Response.StatusCode = StatusCodes.Status202Accepted;
        }
        else if (_states.TryGetValue((entity, key), out var state))
        {
            await http.Response.WriteAsync(state, http.RequestAborted);
        }
        else
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
        }
    }

    private async Task ListAsync(HttpContext http, string entity)
    {
        var from = int.TryParse(http.Request.Headers["x-ms-continuation-token"], out var token) ? token : 0;
        var all = _states.Where(pair => pair.Key.Entity == entity).OrderBy(pair => pair.Key.Key, StringComparer.Ordinal).ToList();
        if (from + PageSize < all.Count)
        {
            http.Response.Headers["x-ms-continuation-token"] = $"{from + PageSize}";
        }

        await http.Response.WriteAsync($"[{string.Join(',', all.Skip(from).Take(PageSize).Select(pair =>
            $$"""{"entityId":{"name":"backendentity","key":"{{pair.Key.Key}}"},"lastOperationTime":"2026-11-22T03:59:55Z","state":{{pair.Value}}}"""))}]", http.RequestAborted);
    }
}
