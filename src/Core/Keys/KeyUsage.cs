using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;

namespace Roadbalancer.Keys;

/// <summary>
/// What each client key has been used for, by name. Counted in memory, so that a request pays nothing for it; with Redis, added up there once
/// a second for all instances.
/// </summary>
internal sealed class KeyUsage(TimeProvider time, RedisKeyCounts? shared = null) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, KeyCounter> _counters = new(StringComparer.OrdinalIgnoreCase);
    private readonly SemaphoreSlim _sending = new(1, 1);
    private Dictionary<string, KeyCounts> _unsent = [];
    private Dictionary<string, KeyCounts> _known = [];
    private long _lastBatch;

    /// <summary>Where the key called <paramref name="name"/> is counted.</summary>
    public KeyCounter Of(string name) => _counters.GetOrAdd(name, static _ => new KeyCounter());

    /// <summary>What has been counted since the store began, by name whatever its case; a key that was never used is not among them. While Redis does not answer, the last that it told and what was counted here since.</summary>
    public async ValueTask<IReadOnlyDictionary<string, KeyCounts>> ReadAsync()
    {
        await _sending.WaitAsync();
        try
        {
            if (shared is not null && await shared.ReadAsync() is { } told)
            {
                _known = told;
            }

            var totals = new Dictionary<string, KeyCounts>(_known, StringComparer.OrdinalIgnoreCase);
            foreach (var (name, counts) in _unsent.Concat(_counters.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.Counts))))
            {
                totals[name] = totals.GetValueOrDefault(name) + counts;
            }

            return totals;
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Forgets what was counted of a key that is gone.</summary>
    public async ValueTask ForgetAsync(string name)
    {
        await FlushAsync();
        _counters.TryRemove(name, out _);
        if (shared is not null)
        {
            await shared.ForgetAsync(name);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await FlushAsync();
    }

    public override void Dispose()
    {
        _sending.Dispose();
        base.Dispose();
    }

    /// <summary>Adds what was counted here to what all instances share; what is not answered is sent again.</summary>
    internal async ValueTask FlushAsync()
    {
        if (shared is null)
        {
            return;
        }

        await _sending.WaitAsync();
        try
        {
            if (_unsent.Count == 0)
            {
                _unsent = _counters.Select(pair => (pair.Key, Counts: pair.Value.Take())).Where(pair => pair.Counts != default)
                    .ToDictionary(pair => pair.Key, pair => pair.Counts, StringComparer.OrdinalIgnoreCase);
                _lastBatch++;
            }

            if (_unsent.Count > 0 && await shared.AddAsync(_lastBatch, _unsent))
            {
                _unsent = [];
            }
        }
        finally
        {
            _sending.Release();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (shared is not null && !stoppingToken.IsCancellationRequested)
        {
            await Task.Delay(Period, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await FlushAsync();
        }
    }
}
