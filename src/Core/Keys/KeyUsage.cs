using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Roadbalancer.Ledger;
using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>
/// What each client key has been used for, by name. Counted in memory, so that a request pays nothing for it; with Redis, added up there once
/// a second for all instances.
/// </summary>
internal sealed class KeyUsage(TimeProvider time, RedisKeyCounts? shared = null) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private static readonly Dictionary<string, KeyCounts> Nothing = [];

    /// <summary>Names beyond which those that count nothing here are dropped: keys come and go.</summary>
    private const int Many = 2 * ClientKeyList.Most;

    private readonly ConcurrentDictionary<string, KeyCounter> _counters = new(StringComparer.OrdinalIgnoreCase);
    private readonly SemaphoreSlim _sending = new(1, 1);
    private Dictionary<string, KeyCounts> _unsent = [];
    private Dictionary<string, CountedKey> _known = [];
    private long _lastBatch;
    private long _lastBirth = Accounts.NewLife();

    /// <summary>Where the key called <paramref name="name"/> is counted.</summary>
    public KeyCounter Of(string name) => _counters.GetOrAdd(name, static (_, usage) => new KeyCounter(Interlocked.Increment(ref usage._lastBirth)), this);

    /// <summary>What has been counted. While Redis does not answer, the last that it told and what was counted here since.</summary>
    public async ValueTask<KeyUse> ReadAsync()
    {
        await _sending.WaitAsync();
        try
        {
            if (shared is null)
            {
                return new KeyUse(Own(), Nothing);
            }

            if (await shared.ReadAsync() is { } stored)
            {
                _known = stored.Keys;
                if (stored.LastBatch == _lastBatch)
                {
                    // It was carried out, and only the answer was lost.
                    _unsent = [];
                }
            }

            var unsent = new Dictionary<string, KeyCounts>(_unsent, StringComparer.OrdinalIgnoreCase);
            foreach (var (name, counter) in _counters)
            {
                if (counter.Counts is var counts && counts != default)
                {
                    unsent[name] = unsent.GetValueOrDefault(name) + counts;
                }
            }

            return new KeyUse(_known, unsent);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>What is counted in the store, for a settlement; null when Redis does not answer.</summary>
    public async ValueTask<IReadOnlyDictionary<string, CountedKey>?> ReadStoredAsync() => shared is null ? Own() : (await shared.ReadAsync())?.Keys;

    /// <summary>
    /// Drops the counters of a key that is gone, unless something was counted since they were <paramref name="counted"/>. For one that has been
    /// idle for a while: here, what a request counts between looking its counter up and adding to it would be lost.
    /// </summary>
    public async ValueTask ForgetAsync(string name, CountedKey counted)
    {
        if (shared is not null)
        {
            await shared.ForgetAsync(name, counted);
        }
        else if (_counters.TryGetValue(name, out var counter) && counter.Birth == counted.Birth && counter.Counts == counted.Counts)
        {
            _counters.TryRemove(KeyValuePair.Create(name, counter));
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
                DropIdle();
            }
        }
        finally
        {
            _sending.Release();
        }
    }

    private Dictionary<string, CountedKey> Own() => _counters.ToDictionary(
        pair => pair.Key, pair => new CountedKey(pair.Value.Counts, pair.Value.Birth), StringComparer.OrdinalIgnoreCase);

    private void DropIdle()
    {
        if (_counters.Count > Many)
        {
            foreach (var pair in _counters.Where(pair => pair.Value.Counts == default))
            {
                _counters.TryRemove(pair);
            }
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
