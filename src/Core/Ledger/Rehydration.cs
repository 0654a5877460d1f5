using Microsoft.Extensions.Hosting;
using Roadbalancer.Backends;
using Roadbalancer.Redis;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>
/// Takes over what was changed at run time and what the ledger holds, as the shared store has them, before the first request is decided; and
/// follows what settlements leave there from then on. Listening does not wait for it.
/// </summary>
/// <param name="link">Tells at once when nobody answers: then nothing is waited for.</param>
/// <param name="sync">Adopts the run-time changes.</param>
/// <param name="totals">Reads what the ledger holds.</param>
/// <param name="pools">The pool, and the interval of settlements.</param>
/// <param name="time">Bounds the wait.</param>
internal sealed class Rehydration(RedisLink link, PoolSync sync, LifetimeTotals totals, PoolSource pools, TimeProvider time) : BackgroundService
{
    /// <summary>How long the first requests may be held up, from the start of the process; then they are served from the configuration, and what comes is adopted later.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What the ledger holds of client keys; null for none.</summary>
    public KeyAccounts? Keys { get; init; }

    /// <summary>Completes, never with a fault, when all is known here, when it cannot be had, or when it took too long.</summary>
    public Task Over => _over.Task;

    public override Task StopAsync(CancellationToken cancellationToken)
    {
        // Stopped before it ran, it never will: nobody is to wait for that.
        _over.TrySetResult();
        return base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await TakeOverAsync(stoppingToken).WaitAsync(Longest, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            _over.TrySetResult();
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(pools.Current.Options.SettleInterval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            // What fails here is tried again next time; it must not be the end of the program.
            await FollowAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TakeOverAsync(CancellationToken cancellationToken)
    {
        if (await link.ConnectAsync() is null && await sync.MeetAsync(cancellationToken) is null)
        {
            await FollowAsync();
        }
    }

    private async Task FollowAsync()
    {
        await totals.FollowAsync(pools.Current.Name);
        await (Keys?.FollowAsync() ?? Task.CompletedTask);
    }
}
