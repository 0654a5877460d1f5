using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Roadbalancer.Tests.Functions;

/// <summary>
/// The durable extension's HTTP API with the host's part behind it: a signal becomes a batch that the program is called with, and its reply the entity's state,
/// or nothing where the host would drop it.
/// </summary>
internal sealed class DurableApi : IAsyncDisposable
{
    private const string Root = "/runtime/webhooks/durabletask/entities/";

    private readonly WebApplication _app;
    private readonly string _key;
    private readonly Func<HttpClient> _program;

    private DurableApi(WebApplication app, string key, Func<HttpClient> program) => (_app, _key, _program) = (app, key, program);

    /// <summary>States by <c>BackendEntity/KEY</c>.</summary>
    public ConcurrentDictionary<string, string> States { get; } = new(StringComparer.Ordinal);

    public int Port => new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;

    /// <param name="key">What <c>code</c> must be.</param>
    /// <param name="program">Who serves the entities.</param>
    public static async Task<DurableApi> StartAsync(string key, Func<HttpClient> program)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var api = new DurableApi(app, key, program);
        app.Run(api.AnswerAsync);
        await app.StartAsync();
        return api;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        var path = http.Request.Path.Value!;
        if (http.Request.Query["code"] != _key || !path.StartsWith(Root, StringComparison.Ordinal))
        {
            http.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }

        var entity = path[Root.Length..];
        if (http.Request.Method == "POST")
        {
            http.Response.StatusCode = StatusCodes.Status202Accepted;
            using var body = new StreamReader(http.Request.Body);
            await RunAsync(entity, http.Request.Query["op"]!, await body.ReadToEndAsync(http.RequestAborted));
        }
        else if (!entity.Contains('/', StringComparison.Ordinal))
        {
            var all = States.Where(state => state.Key.StartsWith(entity + "/", StringComparison.Ordinal))
                .Select(state => $$"""{"entityId":{"name":"{{entity.ToLowerInvariant()}}","key":"{{state.Key[(entity.Length + 1)..]}}"},"state":{{state.Value}}}""");
            await http.Response.WriteAsync($"[{string.Join(',', all)}]", http.RequestAborted);
        }
        else if (States.TryGetValue(entity, out var state))
        {
            await http.Response.WriteAsync(state, http.RequestAborted);
        }
        else
        {
            http.Response.StatusCode = StatusCodes.Status404NotFound;
        }
    }

    private async Task RunAsync(string entity, string operation, string input)
    {
        var batch = EntityCall.Batch(States.GetValueOrDefault(entity), (operation, input));
        using var reply = await _program().PostAsync(
            "/" + entity.Split('/')[0], new StringContent(EntityCall.Body(Google.Protobuf.MessageExtensions.ToByteArray(batch)), System.Text.Encoding.UTF8, "application/json"));
        var result = EntityCall.ResultIn(await reply.Content.ReadAsStringAsync(), out _);
        if (result.EntityState is { } state)
        {
            States[entity] = state;
        }
        else
        {
            States.TryRemove(entity, out _);
        }
    }
}
