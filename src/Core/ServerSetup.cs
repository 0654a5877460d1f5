using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Roadbalancer.Admin;
using Roadbalancer.Admin.Dashboard;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Ledger;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Stats;
using Roadbalancer.Strategies;
using Roadbalancer.Telemetry;

namespace Roadbalancer;

/// <summary>Puts the balancer into a web application: its services, its server limits and its routes. Every host of it does it this way.</summary>
internal static class ServerSetup
{
    private const string InlineSockets = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>What the server takes of a request's head, in bytes: more than <see cref="ProxyEndpoint.HeadLimit"/>, so that we answer and not it.</summary>
    private const int ServerHeadLimit = 4 * ProxyEndpoint.HeadLimit;

    /// <summary>
    /// Lets what waits for a socket go on at once, on the thread that watches the sockets, instead of being handed to the pool: two hops of a thread
    /// less for each read and write (docs/adr/0007-fast-path.md). For a program of ours alone, before it opens its first socket; in someone else's
    /// the continuations are not ours to vouch for.
    /// </summary>
    public static void PreferInlineSockets()
    {
        // The runtime reads it once, when the first socket waits; there is no other way to ask for it.
        if (Environment.GetEnvironmentVariable(InlineSockets) is null)
        {
            Environment.SetEnvironmentVariable(InlineSockets, "1");
        }
    }

    /// <summary>Registers everything that <see cref="MapRoadbalancer"/> needs, balancing over <paramref name="options"/>.</summary>
    /// <param name="ownTimers">False where a platform's timers call for the regular work (<see cref="ProbeRun"/>).</param>
    public static void AddRoadbalancer(this IServiceCollection services, BalancerOptions options, bool ownTimers = true)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(new Chance(BitConverter.ToUInt64(Guid.NewGuid().ToByteArray())));
        services.AddMetrics();
        services.AddSingleton(new PoolSource(options));
        services.AddBalancerState(options);
        services.AddLifetimeTotals(options);
        services.AddClientKeys(options);
        services.AddSingleton<Forwarder>();
        services.AddSingleton<WaitQueue>();
        services.AddSingleton<AttemptBudget>();
        services.AddSingleton<Hedging>();
        services.AddSingleton<BalancerMetrics>();
        services.AddSingleton<AttemptLoop>();
        services.AddSingleton<ModelsEndpoint>();
        services.AddSingleton<ProxyEndpoint>();
        services.AddSingleton<HealthProbe>();
        services.AddSingleton<HealthEndpoint>();
        services.AddSingleton<ReadingRight>();
        services.AddSingleton<StatsEndpoint>();
        services.AddSingleton<BackendGauges>();
        services.AddSingleton<ProcessMetrics>();
        services.AddSingleton<MetricsEndpoint>();
        services.AddSingleton<StateLog>();
        services.AddAdmin();
        services.AddSingleton<ProbeRun>();
        if (ownTimers)
        {
            services.AddHostedService<HealthChecks>();
        }

        // The host would begin an activity and a log scope for every request, and carry them through every continuation, for lines that are never written.
        services.Configure<LoggerFilterOptions>(static logging =>
            logging.Rules.Add(new LoggerFilterRule(null, "Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None, null)));
        services.Configure<SocketTransportOptions>(static sockets =>
        {
            sockets.UnsafePreferInlineScheduling = true;

            // Waiting without a buffer costs a call of the system for every request; with one, 4 KB for every connection.
            sockets.WaitForDataBeforeAllocatingBuffer = false;
        });
        services.Configure<Microsoft.AspNetCore.Server.Kestrel.Core.KestrelServerOptions>(kestrel =>
        {
            kestrel.AddServerHeader = false;

            // Header values pass as bytes: a title in UTF-8 or Latin-1 is the client's and the backend's affair.
            kestrel.RequestHeaderEncodingSelector = static _ => System.Text.Encoding.Latin1;
            kestrel.ResponseHeaderEncodingSelector = static _ => System.Text.Encoding.Latin1;

            // Bodies are measured by the endpoint, which answers in OpenAI's shape.
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxRequestHeadersTotalSize = ServerHeadLimit;
            kestrel.Limits.MaxRequestHeaderCount = 500;
            kestrel.Limits.MaxRequestLineSize = ServerHeadLimit;
            kestrel.Limits.MaxRequestBufferSize = Math.Max(1024 * 1024, 2L * ServerHeadLimit);
        });
    }

    /// <summary>Maps <c>/v1/…</c>, <c>/health</c>, <c>/ready</c>, <c>/stats</c>, <c>/metrics</c>, the management API and the dashboard; anything else is a clear 404.</summary>
    public static void MapRoadbalancer(this WebApplication app)
    {
        var proxy = app.Services.GetRequiredService<ProxyEndpoint>();
        ReportChanges(app.Services);
        app.Services.ReportChanges(app.Services.GetRequiredService<EventFeed>().Report);
        var health = app.Services.GetRequiredService<HealthEndpoint>();
        var stats = app.Services.GetRequiredService<StatsEndpoint>();
        var metrics = app.Services.GetRequiredService<MetricsEndpoint>();
        var rehydration = app.Services.GetService<Rehydration>();
        app.Run(http => http.Request.Path.Value switch
        {
            var path when rehydration is { Over.IsCompleted: false } && path!.StartsWith("/v1/", StringComparison.OrdinalIgnoreCase) => ServeAfterAsync(rehydration, proxy, http),
            var path when path!.StartsWith("/v1/", StringComparison.OrdinalIgnoreCase) => proxy.HandleAsync(http),
            "/health" => HealthEndpoint.HealthAsync(http),
            "/ready" => health.ReadyAsync(http),
            "/stats" => stats.HandleAsync(http),
            "/metrics" => metrics.HandleAsync(http),
            var path when AdminEndpoint.Serves(path!) => app.Services.GetRequiredService<AdminEndpoint>().HandleAsync(http),
            var path when DashboardEndpoint.Serves(path!) => app.Services.GetRequiredService<DashboardEndpoint>().HandleAsync(http),
            _ => RefuseUnknownAsync(app.Services.GetRequiredService<BalancerMetrics>(), http),
        });
    }

    private static Task RefuseUnknownAsync(BalancerMetrics metrics, HttpContext http)
    {
        metrics.Refused(ErrorAnswer.UnknownUrl);
        return new ErrorAnswer(StatusCodes.Status404NotFound, "invalid_request_error", ErrorAnswer.UnknownUrl,
            $"Unknown request URL: {http.Request.Method} {http.Request.Path.Value}. The OpenAI-compatible API is at /v1.").WriteAsync(http, RequestIds.For(http));
    }

    /// <summary>The first requests wait for what is in force beyond the configuration.</summary>
    private static async Task ServeAfterAsync(Rehydration rehydration, ProxyEndpoint proxy, HttpContext http)
    {
        await rehydration.Over;
        await proxy.HandleAsync(http);
    }

    /// <summary>Lets the log hear of every change of a backend's condition.</summary>
    public static void ReportChanges(IServiceProvider services) =>
        services.ReportChanges(services.GetRequiredService<StateLog>().Report);
}
