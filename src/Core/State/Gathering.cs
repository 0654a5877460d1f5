namespace Roadbalancer.State;

/// <summary>
/// Where errands wait for the next call. Alone, one is carried at once. While a call is under way others gather, and go together when it
/// comes back; when it takes longer than <see cref="Stagger"/>, the next to come takes those that have gathered with it in a call of their own.
/// Urgent ones do not wait for a call that has none.
/// </summary>
/// <param name="time">Tells how long a call has been under way.</param>
/// <param name="mostAtOnce">How many of a pool one call may carry.</param>
/// <param name="carry">Carries errands of one pool; returns why they may not have arrived, or null. Never throws.</param>
/// <param name="giveUp">Told of those that a fault ended, before they end.</param>
internal sealed class Gathering(
    TimeProvider time, Func<Errand, int> mostAtOnce, Func<List<Errand>, ValueTask<Exception?>> carry, Action<Errand, Exception> giveUp)
{
    /// <summary>Calls under way at most; a server that stands still is not to be buried.</summary>
    private const int MostUnderWay = 8;

    /// <summary>A server next door has answered by then. To one that is farther, calls follow each other at this distance instead of waiting for the answer.</summary>
    private static readonly TimeSpan Stagger = TimeSpan.FromMilliseconds(0.5);

    private readonly Lock _lock = new();
    private readonly Queue<Errand> _waiting = new();
    private int _faults;
    private int _urgent;
    private (int Calls, long LastSent) _underWay;
    private (int Calls, long LastSent) _urgentUnderWay;

    /// <summary>Has <paramref name="errand"/> carried; its <see cref="Errand.End"/> tells when it was.</summary>
    public void Add(Errand errand)
    {
        Call? next;
        lock (_lock)
        {
            _waiting.Enqueue(errand);
            _urgent += errand.IsUrgent ? 1 : 0;
            next = NextNeedsLock();
        }

        if (next is not null)
        {
            _ = CarryAsync(next);
        }
    }

    private async Task CarryAsync(Call call)
    {
        var carrying = carry(call.Errands);
        while (true)
        {
            var fault = await carrying;
            var next = Returned(call, fault);
            if (next is not null)
            {
                // Before those that wait for the last call go on: the server works meanwhile.
                carrying = carry(next.Errands);
            }

            foreach (var errand in call.Errands)
            {
                if (fault is not null)
                {
                    giveUp(errand, fault);
                }

                errand.End(fault);
            }

            if (next is null)
            {
                return;
            }

            call = next;
        }
    }

    /// <summary>What goes next. After a <paramref name="fault"/> nothing does: what has gathered would have to wait for the same a second time.</summary>
    private Call? Returned(Call call, Exception? fault)
    {
        lock (_lock)
        {
            _underWay.Calls--;
            _urgentUnderWay.Calls -= call.IsUrgent ? 1 : 0;
            if (fault is null)
            {
                return NextNeedsLock();
            }

            if (call.Faults == _faults)
            {
                _faults++;
            }
            else
            {
                // Under way when another failed: the same pause of the server, not one more.
                (fault as SharedStateException)?.TryCount();
            }

            call.Errands.AddRange(_waiting);
            _waiting.Clear();
            _urgent = 0;
            return null;
        }
    }

    private Call? NextNeedsLock()
    {
        if (!_waiting.TryPeek(out var first) || _underWay.Calls == MostUnderWay)
        {
            return null;
        }

        var most = mostAtOnce(first);
        var (calls, lastSent) = _urgent > 0 ? _urgentUnderWay : _underWay;
        if (calls > 0 && _waiting.Count < most && time.GetElapsedTime(lastSent) < Stagger)
        {
            return null;
        }

        var (errands, urgent) = (new List<Errand>(Math.Min(most, _waiting.Count)), _urgent);
        while (errands.Count < most && _waiting.TryPeek(out var next) && next.Pool == first.Pool)
        {
            errands.Add(_waiting.Dequeue());
            _urgent -= next.IsUrgent ? 1 : 0;
        }

        var call = new Call(errands, _urgent < urgent, _faults);
        _underWay = (_underWay.Calls + 1, time.GetTimestamp());
        if (call.IsUrgent)
        {
            _urgentUnderWay = (_urgentUnderWay.Calls + 1, _underWay.LastSent);
        }

        return call;
    }

    /// <param name="Errands">What it carries.</param>
    /// <param name="IsUrgent">Urgent ones are among them.</param>
    /// <param name="Faults">How many pauses of the server had been met when it was sent.</param>
    private sealed record Call(List<Errand> Errands, bool IsUrgent, int Faults);
}
