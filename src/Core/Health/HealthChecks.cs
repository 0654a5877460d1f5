using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Health;

/// <summary>Probes the pool at start, after every change of the pool, and then at each interval, give or take a tenth so that instances do not march in step.</summary>
internal sealed partial class HealthChecks(PoolSource pools, HealthProbe probe, ProbeTurn turn, TimeProvider time, Chance chance, ILogger<HealthChecks> log)
    : BackgroundService
{
    private readonly SemaphoreSlim _poolChanged = new(0);

    public override void Dispose()
    {
        _poolChanged.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        pools.Changed += OnPoolChanged;
        try
        {
            while (true)
            {
                var pool = pools.Current;
                if (pool.Options is { HealthCheckEnabled: true, Mode: not BalancingMode.SingleBackend } && await turn.TakeAsync(pool))
                {
                    await ProbeAsync(pool, stoppingToken);
                }

                await SleepAsync(pool.Options.HealthCheckInterval * (0.9 + (0.2 * chance.NextDouble())), stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The program ends.
        }
        finally
        {
            pools.Changed -= OnPoolChanged;
        }
    }

    private async Task ProbeAsync(Pool pool, CancellationToken cancellationToken)
    {
        try
        {
            await probe.ProbeAllAsync(pool, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // One bad round must not end all later ones.
            LogRoundFailed(exception);
        }
    }

    private async Task SleepAsync(TimeSpan interval, CancellationToken cancellationToken)
    {
        using var woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var sleep = Task.Delay(interval, time, woken.Token);
        var change = _poolChanged.WaitAsync(woken.Token);
        await Task.WhenAny(sleep, change);
        await woken.CancelAsync();
        cancellationToken.ThrowIfCancellationRequested();
    }

    private void OnPoolChanged(Pool before, Pool after) => _poolChanged.Release();

    [LoggerMessage(4000, LogLevel.Error, "A round of health checks failed by a fault of the balancer")]
    private partial void LogRoundFailed(Exception exception);
}
