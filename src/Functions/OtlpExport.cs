using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Roadbalancer.Proxy;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Functions;

/// <summary>
/// Sends metrics and traces to a collector. Nothing else in the program touches OpenTelemetry's assemblies, so that they are loaded only where
/// this is switched on. What cannot be sent is dropped by the exporter; no request waits for it.
/// </summary>
internal sealed partial class OtlpExport(
    OtlpSettings settings, BackendGauges gauges, TimeProvider time, ILogger<OtlpExport> log) : BackgroundService
{
    /// <summary>How often the gauges of a shared store are renewed, which the reader of metrics cannot wait for.</summary>
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(5);

    /// <summary>How long the end of the program waits for what is left to be sent.</summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromSeconds(3);

    private MeterProvider? _meters;
    private TracerProvider? _traces;

    /// <summary>Registers the export; to be called only when it is wanted.</summary>
    public static void Add(IServiceCollection services, OtlpSettings settings)
    {
        services.AddSingleton(settings);
        services.AddHostedService<OtlpExport>();
    }

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        var resource = ResourceBuilder.CreateDefault().AddService(
            "roadbalancer", serviceVersion: typeof(BalancerMetrics).Assembly.GetName().Version?.ToString(3)).AddEnvironmentVariableDetector();
        if (settings.Metrics)
        {
            _meters = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(BalancerMetrics.MeterName).AddOtlpExporter().Build();
        }

        if (settings.Traces)
        {
            _traces = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(RequestSpan.SourceName).AddOtlpExporter().Build();
        }

        LogStarted(settings.Metrics, settings.Traces);
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);

        // The last that was counted and traced is still to go out; the calls block, so that they do it on threads of their own.
        var limit = (int)Farewell.TotalMilliseconds;
        await Task.WhenAll(
            Task.Factory.StartNew(() => _traces?.Shutdown(limit), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default),
            Task.Factory.StartNew(() => _meters?.Shutdown(limit), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
    }

    public override void Dispose()
    {
        _traces?.Dispose();
        _meters?.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (settings.Metrics)
            {
                await gauges.RenewAsync(stoppingToken);
                await Task.Delay(Renewal, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The program ends.
        }
    }

    [LoggerMessage(9000, LogLevel.Information, "Sending by OTLP: metrics {Metrics}, traces {Traces}")]
    private partial void LogStarted(bool metrics, bool traces);
}
