using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <content>Reports to the store, and what takes their place while it does not answer.</content>
internal sealed partial class RelaxedState
{
    /// <summary>Sends what was not answered before, then everything since, and follows the last reply. Null when all of it was answered, else why not.</summary>
    private async ValueTask<string?> SendAsync(Pool pool)
    {
        var left = _unanswered.Count;
        QueueReports(pool);
        while (_unanswered.TryPeek(out var report))
        {
            var (vitals, fault) = await _shared.ReportAsync(pool, report);
            if (fault is not null)
            {
                return fault;
            }

            _unanswered.Dequeue();
            if (--left < 0 && _unanswered.Count == 0)
            {
                lock (_lock)
                {
                    _memory.Follow(pool, vitals!, _memory.Clock - vitals!.NowMs, report.InFlight, _decided);
                }
            }
        }

        return null;
    }

    /// <summary>What all had counted, so that statistics go on from there when the store goes away. Null when it is known, else why not.</summary>
    private async ValueTask<string?> RememberAsync(Pool pool)
    {
        if (_known is not null && _time.GetElapsedTime(_knownAt) < Remembered)
        {
            return null;
        }

        try
        {
            _known = await _shared.ReadAsync(pool.Name, CancellationToken.None);
            _knownAt = _time.GetTimestamp();
            return null;
        }
        catch (SharedStateException exception)
        {
            return exception.Message;
        }
    }

    private void QueueReports(Pool pool)
    {
        List<Decided> decided;
        lock (_lock)
        {
            (decided, _decided) = (_decided, []);
        }

        var inFlight = _memory.Here(pool.Name).InFlight;
        var start = 0;
        do
        {
            _unanswered.Enqueue(new LoadReport(_holder, ++_reports, inFlight, decided.GetRange(start, Math.Min(ReportedAtOnce, decided.Count - start))));
            start += ReportedAtOnce;
        }
        while (start < decided.Count);
    }

    private void Fall(string reason)
    {
        lock (_lock)
        {
            // What was not sent yet is added up: an outage may be long. What may have been sent keeps its number.
            foreach (var decided in _decided.Where(decided => decided.Outcome is not null && !decided.Lease.IsProbe))
            {
                Count(decided.Lease.Backend.Name, decided.Outcome!);
            }

            _decided = [];
            _isAlone = true;
            if (!_hasReturned)
            {
                return;
            }

            _hasReturned = false;
        }

        var pool = _memory.Here(_pools.Current.Name).Pool ?? _pools.Current;
        _memory.ForgetElsewhere(pool);
        if (_known is { } known)
        {
            _memory.CountFrom(pool, known);
        }

        _metrics.StateServedFromMemory(true);
        LogFallen(reason);
    }

    /// <summary>Brings in what was counted alone. From here on events are reported again; null when it was answered, else why not.</summary>
    private async ValueTask<string?> ReturnAsync(Pool pool)
    {
        if (await _shared.CatchUpAsync(pool) is { } notYet)
        {
            return notYet;
        }

        while (_unanswered.TryPeek(out var report))
        {
            if ((await _shared.ReportAsync(pool, report)).Fault is { } lost)
            {
                return lost;
            }

            _unanswered.Dequeue();
        }

        var standing = await _memory.ReadVitalsAsync(pool, CancellationToken.None);
        lock (_lock)
        {
            _unmerged.Enqueue(new CountedAlone(pool, _shared.ReserveLeaseId(), _counted, _memory.Clock, standing));
            _counted = new(StringComparer.OrdinalIgnoreCase);
            _isAlone = false;
        }

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

    private void Share()
    {
        if (!_hasReturned)
        {
            _hasReturned = true;
            _metrics.StateServedFromMemory(false);
            LogShared();
        }
    }
}
