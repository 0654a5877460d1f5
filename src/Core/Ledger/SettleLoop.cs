using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>
/// Keeps the ledger of a process alone: reads it before anything is decided, settles at each <c>settle_interval</c> and once more at the end,
/// and has every run-time change on the disk before it is acknowledged.
/// </summary>
/// <remarks>A folder that cannot be used stops nothing: the balancer serves with a ledger in memory, and says so.</remarks>
internal sealed partial class SettleLoop : BackgroundService
{
    /// <summary>How long the last settlement may hold up the end of the process.</summary>
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(5);

    private readonly Func<FileLedger?> _open;
    private readonly Settlement _settlement;
    private readonly PoolSync _sync;
    private readonly PoolSource _pools;
    private readonly TimeProvider _time;
    private readonly ILogger<SettleLoop> _log;
    private readonly MemoryLedger _memory = new();
    private FileLedger? _files;
    private bool _isBehind;

    /// <param name="open">Takes the folder; null when nothing is to outlast the process.</param>
    /// <param name="settlement">What is run.</param>
    /// <param name="sync">The run-time changes.</param>
    /// <param name="pools">The interval in force.</param>
    /// <param name="time">Paces it.</param>
    /// <param name="log">Told of the ledger's beginning and of what is left behind.</param>
    public SettleLoop(Func<FileLedger?> open, Settlement settlement, PoolSync sync, PoolSource pools, TimeProvider time, ILogger<SettleLoop> log) =>
        (_open, _settlement, _sync, _pools, _time, _log) = (open, settlement, sync, pools, time, log);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            _files = _open();
            if (_files is { } files)
            {
                await _settlement.RestoreAsync(files, cancellationToken);
                _sync.Keep = KeepAsync;
                LogOpened(files.Folder, _pools.Edits.Version);
            }
        }
        catch (LedgerException exception)
        {
            _files?.Dispose();
            _files = null;
            LogNone(exception.Message);
        }

        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_files is { } files)
        {
            using var patience = new CancellationTokenSource(LastPatience, _time);
            await SettleAsync(files, patience.Token);
            _sync.Keep = null;
            _files = null;
            files.Dispose();
        }
    }

    public override void Dispose()
    {
        _files?.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(_pools.Current.Options.SettleInterval, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!stoppingToken.IsCancellationRequested)
            {
                await SettleAsync((ILedger?)_files ?? _memory, stoppingToken);
            }
        }
    }

    private async Task SettleAsync(ILedger ledger, CancellationToken cancellationToken)
    {
        try
        {
            var report = await _settlement.RunAsync(ledger, cancellationToken);
            if (!report.IsComplete && !_isBehind)
            {
                LogBehind(string.Join("; ", report.Lines));
            }
            else if (report.IsComplete && _isBehind)
            {
                LogCaughtUp();
            }

            _isBehind = !report.IsComplete;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The next start goes on from what is on the disk.
        }
        catch (Exception exception)
        {
            // Whatever it is, it must not be the end of all settling.
            LogFailed(exception);
        }
    }

    private async Task<bool> KeepAsync(PoolEdits edits, CancellationToken cancellationToken)
    {
        try
        {
            if (_files is not { } files)
            {
                return false;
            }

            await _settlement.KeepAsync(files, edits, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is LedgerException or ObjectDisposedException)
        {
            LogNotKept(edits.Version, exception.Message);
            return false;
        }
    }
}
