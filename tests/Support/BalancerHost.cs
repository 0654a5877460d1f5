using System.Collections.Immutable;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Tests.Support;

/// <summary>The balancer as it is deployed, on a real Kestrel and a free port of the loopback, over the backends of a test.</summary>
internal sealed class BalancerHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private BalancerHost(WebApplication app, LogLines log)
    {
        _app = app;
        Log = log;
        Url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxConnectionsPerServer = 1024 })
        {
            BaseAddress = Url,
            Timeout = TimeSpan.FromSeconds(60),
        };
    }

    public Uri Url { get; }

    /// <summary>A client of the balancer; 60 s is its own limit.</summary>
    public HttpClient Http { get; }

    /// <summary>What the balancer logged.</summary>
    public LogLines Log { get; }

    public PoolSource Pools => _app.Services.GetRequiredService<PoolSource>();

    public IBalancerState State => _app.Services.GetRequiredService<IBalancerState>();

    public T Service<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>Starts over <paramref name="options"/>; without probes unless they say otherwise, so that upstreams see only requests.</summary>
    /// <param name="port">Where; 0 for any free port.</param>
    public static async Task<BalancerHost> StartAsync(BalancerOptions options, Action<IServiceCollection>? services = null, int port = 0)
    {
        var log = new LogLines();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        builder.WebHost.UseKestrelCore().UseUrls($"http://127.0.0.1:{port}");
        services?.Invoke(builder.Services);
        builder.Services.AddRoadbalancer(options);
        var app = builder.Build();
        app.MapRoadbalancer();
        await app.StartAsync();
        return new BalancerHost(app, log);
    }

    /// <summary>Starts over <paramref name="upstreams"/>, named <c>a</c>, <c>b</c>, …, all alike but for <paramref name="shape"/>.</summary>
    public static Task<BalancerHost> StartAsync(
        IReadOnlyList<ScriptedUpstream> upstreams, Func<BalancerOptions, BalancerOptions>? change = null, Func<int, Backend, Backend>? shape = null)
    {
        var backends = upstreams.Select((upstream, index) => new Backend { Name = ((char)('a' + index)).ToString(), BaseUrl = upstream.BaseUrl })
            .Select((backend, index) => shape?.Invoke(index, backend) ?? backend).ToImmutableArray();
        var options = new BalancerOptions { Backends = backends, HealthCheckEnabled = false };
        return StartAsync(change?.Invoke(options) ?? options);
    }

    public Task<PoolSnapshot> ReadAsync() => State.ReadAsync(Pool.DefaultName, CancellationToken.None).AsTask();

    /// <summary>Requests in flight at all backends together.</summary>
    public async Task<int> InFlightAsync() => (await ReadAsync()).Backends.Sum(backend => backend.Vitals.InFlight);

    public async Task<HttpResponseMessage> PostAsync(string path, string json, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public Task<HttpResponseMessage> ChatAsync(bool stream = false, params (string Name, string Value)[] headers) =>
        PostAsync("/v1/chat/completions", ChatJson(stream), headers);

    public static string ChatJson(bool stream = false, string model = "m") =>
        $$"""{"model":"{{model}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"hello"}]}""";

    /// <summary>Ends the server, as the end of the program does.</summary>
    public Task StopAsync() => _app.StopAsync(CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }
}

/// <summary>Keeps log lines for assertions.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<string> _lines = new();

    public IReadOnlyCollection<string> Lines => _lines;

    public bool Has(string text) => _lines.Any(line => line.Contains(text, StringComparison.Ordinal));

    public ILogger CreateLogger(string categoryName) => new Line(categoryName, _lines);

    public void Dispose()
    {
    }

    private sealed class Line(string category, System.Collections.Concurrent.ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Debug;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue($"{logLevel} {category} {formatter(state, exception)} {exception}");
    }
}
