using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>
/// Where errands wait for the next call. Alone, one is carried at once. While a call is under way others gather, and go together when it
/// comes back; when it takes longer than <see cref="Stagger"/>, the next to come takes those that have gathered with it in a call of their own.
/// Urgent ones do not wait for a call that has none. None waits for longer than <c>redis_timeout</c>: it ends with a fault then.
/// </summary>
/// <param name="time">Tells how long a call has been under way, and an errand has waited.</param>
/// <param name="patience">How long one may wait to be carried.</param>
/// <param name="mostUrgent">How many urgent ones of a pool one call may carry.</param>
/// <param name="carry">Carries errands of one pool; returns why they may not have arrived, or null. Never throws.</param>
/// <param name="giveUp">Told of those that a fault ended, before they end.</param>
internal sealed partial class Gathering(
    TimeProvider time, TimeSpan patience, Func<Pool, int> mostUrgent, Func<List<Errand>, ValueTask<SharedStateException?>> carry, Action<Errand> giveUp)
{
    /// <summary>Errands of one call at most: the server does nothing else meanwhile.</summary>
    public const int MostAtOnce = 128;

    /// <summary>Calls under way at most; a server that stands still is not to be buried. One of them is kept for urgent ones while none has these.</summary>
    private const int MostUnderWay = 8;

    /// <summary>A server next door has answered by then. To one that is farther, calls follow each other at this distance instead of waiting for the answer.</summary>
    private static readonly TimeSpan Stagger = TimeSpan.FromMilliseconds(0.5);

    /// <summary>Those that have waited for too long within it met one and the same fault.</summary>
    private static readonly TimeSpan SameFault = TimeSpan.FromMilliseconds(20);

    private readonly Lock _lock = new();
    private readonly List<Lane> _lanes = [];
    private readonly long _patience = (long)(patience.TotalSeconds * time.TimestampFrequency);
    private int _faults;
    private int _waiting;
    private int _urgent;
    private (int Calls, long LastSent) _underWay;
    private (int Calls, long LastSent) _urgentUnderWay;
    private (SharedStateException? Fault, long Since) _overdue;

    /// <summary>Has <paramref name="errand"/> carried; its <see cref="Errand.End"/> tells when it was.</summary>
    public void Add(Errand errand)
    {
        Call? next;
        Overdue overdue;
        lock (_lock)
        {
            var now = time.GetTimestamp();
            overdue = OverdueNeedsLock(now);
            errand.Since = now;
            LaneNeedsLock(errand).Add(errand);
            _waiting++;
            _urgent += errand.IsUrgent ? 1 : 0;
            next = NextNeedsLock(now);
        }

        for (; next is not null; next = next.Then)
        {
            _ = CarryAsync(next);
        }

        End(overdue.Errands, overdue.Fault);
    }

    private async Task CarryAsync(Call call)
    {
        var carrying = carry(call.Errands);
        while (true)
        {
            var fault = await carrying;
            var (next, overdue) = Returned(call, fault);
            if (next is not null)
            {
                // Before those that wait for the last call go on: the server works meanwhile.
                carrying = carry(next.Errands);
                for (var then = next.Then; then is not null; then = then.Then)
                {
                    _ = CarryAsync(then);
                }
            }

            End(call.Errands, fault);
            End(overdue.Errands, overdue.Fault);
            if (next is null)
            {
                return;
            }

            call = next;
        }
    }

    /// <summary>Those that somebody waits for end first: what follows the others is done at once, here.</summary>
    private void End(List<Errand>? errands, SharedStateException? fault)
    {
        if (errands is null)
        {
            return;
        }

        foreach (var errand in errands)
        {
            if (errand.IsUrgent)
            {
                End(errand, fault);
            }
        }

        foreach (var errand in errands)
        {
            if (!errand.IsUrgent)
            {
                End(errand, fault);
            }
        }
    }

    private void End(Errand errand, SharedStateException? fault)
    {
        if (fault is not null)
        {
            giveUp(errand);
        }

        errand.End(fault);
    }

    /// <summary>What goes next. What a <paramref name="fault"/> would meet again ends with it: it would have to wait for the same a second time.</summary>
    private (Call? Next, Overdue Overdue) Returned(Call call, SharedStateException? fault)
    {
        lock (_lock)
        {
            _underWay.Calls--;
            _urgentUnderWay.Calls -= call.IsUrgent ? 1 : 0;
            if (fault is not null)
            {
                FailNeedsLock(call, fault);
            }

            var now = time.GetTimestamp();
            var overdue = OverdueNeedsLock(now);
            return (NextNeedsLock(now), overdue);
        }
    }

    private void FailNeedsLock(Call call, SharedStateException fault)
    {
        if (call.Faults == _faults)
        {
            _faults++;
        }
        else
        {
            // Under way when another failed: the same pause of the server, not one more.
            fault.TryCount();
        }

        foreach (var lane in _lanes)
        {
            if (fault.ConcernsAll || lane.Pool == call.Errands[0].Pool)
            {
                TakeNeedsLock(lane, call.Errands, lane.Urgent.Count, lane.Others.Count);
            }
        }
    }

    /// <summary>Takes out those that have waited for too long.</summary>
    private Overdue OverdueNeedsLock(long now)
    {
        if (_waiting == 0)
        {
            return default;
        }

        List<Errand>? errands = null;
        foreach (var lane in _lanes)
        {
            while (lane.OldestSince is var since && since != long.MaxValue && now - since > _patience)
            {
                var isUrgent = lane.Urgent.TryPeek(out var urgent) && urgent.Since == since;
                TakeNeedsLock(lane, errands ??= [], isUrgent ? 1 : 0, isUrgent ? 0 : 1);
            }
        }

        if (errands is not null && (_overdue.Fault is null || time.GetElapsedTime(_overdue.Since, now) > SameFault))
        {
            _overdue = (new SharedStateException($"{Redis.RedisLink.TimedOut} {patience.TotalMilliseconds:0} ms"), now);
            _faults++;
        }

        return new(errands, _overdue.Fault);
    }

    /// <summary>The calls to be made now.</summary>
    private Call? NextNeedsLock(long now)
    {
        var first = NextCallNeedsLock(now);
        for (var last = first; last is not null; last = last.Then)
        {
            last.Then = NextCallNeedsLock(now);
        }

        return first;
    }

    private Call? NextCallNeedsLock(long now)
    {
        if (_waiting == 0 || _underWay.Calls == MostUnderWay)
        {
            return null;
        }

        var isKept = _urgentUnderWay.Calls == 0;
        var lane = OldestNeedsLock(isKept && _urgent > 0);
        if (lane.Urgent.Count == 0 && isKept && _underWay.Calls == MostUnderWay - 1)
        {
            return null;
        }

        var most = mostUrgent(lane.Pool);
        var (calls, lastSent) = _urgent > 0 ? _urgentUnderWay : _underWay;
        if (calls > 0 && lane.Urgent.Count < most && lane.Count < MostAtOnce && time.GetElapsedTime(lastSent, now) < Stagger)
        {
            return null;
        }

        // Where there are many of both, neither takes all the room.
        var others = Math.Min(lane.Others.Count, MostAtOnce - Math.Min(Math.Min(lane.Urgent.Count, most), MostAtOnce / 2));
        var urgent = Math.Min(Math.Min(lane.Urgent.Count, most), MostAtOnce - others);
        var call = new Call(TakeNeedsLock(lane, new List<Errand>(urgent + others), urgent, others), urgent > 0, _faults);
        _underWay = (_underWay.Calls + 1, now);
        if (call.IsUrgent)
        {
            _urgentUnderWay = (_urgentUnderWay.Calls + 1, now);
        }

        return call;
    }

    /// <param name="Errands">What it carries.</param>
    /// <param name="IsUrgent">Urgent ones are among them.</param>
    /// <param name="Faults">How many pauses of the server had been met when it was sent.</param>
    private sealed record Call(List<Errand> Errands, bool IsUrgent, int Faults)
    {
        /// <summary>Another that begins at the same time.</summary>
        public Call? Then { get; set; }
    }

    private readonly record struct Overdue(List<Errand>? Errands, SharedStateException? Fault);
}
