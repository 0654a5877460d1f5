using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>
/// Watches the configuration file in use. A valid change swaps the pool; an invalid one is reported, once, and ignored. Environment and
/// command line go on to win over the file.
/// </summary>
/// <remarks>
/// Polling instead of file events: those miss bind mounts, network shares and the symbolic links of mounted secrets. A change counts when
/// two looks in a row have seen the same, because half of a YAML file is often a valid, shorter one.
/// </remarks>
internal sealed partial class OptionsWatcher : IHostedService, IDisposable
{
    /// <summary>Time between two looks; a change is in force after two of them at most.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    private static readonly Sight Absent = new(DateTime.MinValue, -1);

    private readonly OptionsLoader _loader;
    private readonly PoolSource _pools;
    private readonly TimeProvider _time;
    private readonly ILogger<OptionsWatcher> _logger;
    private readonly string? _file;
    private readonly HostOptions? _host;
    private readonly Lock _lock = new();

    private ITimer? _timer;
    private ReadOnlyMemory<byte> _content;
    private Sight _settled;
    private Sight _last;

    /// <param name="loader">Loads again on a change.</param>
    /// <param name="initial">The load that <paramref name="pools"/> was made from.</param>
    /// <param name="pools">Where a valid change goes.</param>
    /// <param name="time">The clock that paces the looks.</param>
    /// <param name="logger">Where changes and errors are told.</param>
    public OptionsWatcher(OptionsLoader loader, OptionsResult initial, PoolSource pools, TimeProvider time, ILogger<OptionsWatcher> logger)
    {
        _loader = loader;
        _pools = pools;
        _time = time;
        _logger = logger;
        _file = initial.File;
        _host = initial.Host;
        _content = initial.FileContent;
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_file is not null)
        {
            // What changed between the first load and now is found by comparing contents.
            _timer = _time.CreateTimer(static watcher => ((OptionsWatcher)watcher!).Look(), this, Period, Period);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _timer?.Dispose();
        return Task.CompletedTask;
    }

    public void Dispose() => _timer?.Dispose();

    /// <summary>One look at the file. A look that finds the one before still at work leaves it alone.</summary>
    private void Look()
    {
        if (!_lock.TryEnter())
        {
            return;
        }

        try
        {
            var sight = See(_file!);
            var stands = sight == _last;
            _last = sight;
            if (stands && sight != _settled)
            {
                _settled = sight;
                ReloadNeedsLock();
            }
        }
        catch (Exception e)
        {
            // Nothing in a load throws; should it ever, a timer's callback would end the process over it.
            LogFailed(_logger, _file!, e);
        }
        finally
        {
            _lock.Exit();
        }
    }

    private void ReloadNeedsLock()
    {
        var result = _loader.Load();
        if (_settled != Absent)
        {
            if (result.FileContent.Span.SequenceEqual(_content.Span))
            {
                // Touched, or gone for a while and back: nothing new, whether it was valid or not.
                return;
            }

            _content = result.FileContent;
        }

        if (!result.IsValid)
        {
            LogRefused(_logger, _file!, OptionsReport.Errors(result).TrimEnd());
            return;
        }

        foreach (var warning in result.Warnings)
        {
            LogWarning(_logger, warning);
        }

        if (!result.Host.ListenUrls.SequenceEqual(_host!.ListenUrls))
        {
            LogListening(_logger, string.Join("; ", result.Host.ListenUrls), string.Join("; ", _host.ListenUrls));
        }

        var pool = _pools.Swap(result.Options);
        LogSwapped(_logger, _file!, pool.Version.ToString(CultureInfo.InvariantCulture), OptionsReport.Mode(result.Options));
    }

    /// <summary>The file as its folder tells of it, through symbolic links; <see cref="Absent"/> when it is not there or cannot be opened.</summary>
    private static Sight See(string file)
    {
        try
        {
            using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return new(File.GetLastWriteTimeUtc(handle), RandomAccess.GetLength(handle) + 1);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return Absent;
        }
    }

    /// <param name="WrittenAt">Last write time.</param>
    /// <param name="Mark">Length plus one; -1 for a file that is not there; 0, the default, for «not looked yet».</param>
    private readonly record struct Sight(DateTime WrittenAt, long Mark);
}
