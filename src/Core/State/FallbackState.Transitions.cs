using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <content>From Redis to memory and back.</content>
internal sealed partial class FallbackState
{
    /// <summary>A pause of the server (a fork, a slow command) ends calls that are under way: memory serves their requests. Several in a row, and it takes over.</summary>
    private void Fail(SharedStateException exception)
    {
        if (!exception.IsTimeout || (exception.TryCount() ? Interlocked.Increment(ref _timeouts) : _timeouts) >= MostTimeouts)
        {
            Fall(exception.Message);
            return;
        }

        lock (_lock)
        {
            // Once for all whom the call failed: memory knows of the places it has given them since.
            if (!_fallen && exception.TrySeed())
            {
                SeedMemoryNeedsLock();
            }
        }
    }

    private void Fall(string reason)
    {
        lock (_lock)
        {
            if (_fallen)
            {
                return;
            }

            SeedMemoryNeedsLock();
            _fallen = true;
            _hasReturned = false;
            _metrics.StateServedFromMemory(true);
        }

        LogFallen(reason);
    }

    private void SeedMemoryNeedsLock()
    {
        var inFlight = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
        foreach (var lease in _shared.HeldLeases)
        {
            inFlight[lease.Backend.Name] = inFlight.GetValueOrDefault(lease.Backend.Name) + 1;
        }

        var (snapshot, aheadMs) = _known ?? (new PoolSnapshot(_pools.Current.Name, 0, []), 0);
        _memory.Seed(_pools.Current, snapshot, aheadMs, inFlight);
    }

    private async ValueTask ReturnAsync(Pool pool)
    {
        var standing = await _memory.ReadAsync(pool.Name, CancellationToken.None);
        lock (_lock)
        {
            foreach (var lease in _local.Where(pair => pair.Value is null).Select(pair => pair.Key).ToList())
            {
                _local[lease] = Adopt(lease);
            }

            if (_counted.Count > 0 || _hasServed)
            {
                _unmerged.Enqueue(new CountedAlone(pool, _shared.ReserveLeaseId(), _counted, _memory.Clock, standing));
                _counted = new(StringComparer.OrdinalIgnoreCase);
            }

            _fallen = false;
        }

        // Then the leases that memory had granted take their places.
        if (await MergeAsync() is { } fault || (fault = await _shared.CatchUpAsync(pool)) is not null)
        {
            Fall(fault);
            return;
        }

        await RememberAsync(pool);
        lock (_lock)
        {
            if (_fallen)
            {
                return;
            }

            _hasServed = true;
            _metrics.StateServedFromMemory(false);
            _hasReturned = true;
        }

        LogShared();
    }

    private async ValueTask<string?> MergeAsync()
    {
        while (_unmerged.TryPeek(out var alone))
        {
            if (await _shared.MergeAsync(alone) is { } fault)
            {
                return fault;
            }

            _unmerged.Dequeue();
        }

        return null;
    }

    private async ValueTask RememberAsync(Pool pool) => Remember(await _shared.ReadAsync(pool.Name, CancellationToken.None));

    /// <summary>Memory goes on from what was told last, so that no number is followed by a smaller one.</summary>
    private PoolSnapshot Remember(PoolSnapshot snapshot)
    {
        lock (_lock)
        {
            _known = (snapshot, _memory.Clock - snapshot.NowMs);
        }

        return snapshot;
    }
}
