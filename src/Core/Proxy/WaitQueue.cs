using Roadbalancer.Backends;
using Roadbalancer.State;

namespace Roadbalancer.Proxy;

/// <summary>What came of asking for a place: a lease, or why there is none.</summary>
internal readonly record struct Acquisition(Lease? Lease, Refusal Refusal);

/// <summary>
/// Lets requests wait for a backend that is full or parked, first come first served, instead of failing them. Requests that want the same
/// model and tags of the same backends form a lane; only a lane's first waiter asks the store, when a place was given back here, when a parked backend comes
/// free, or after <see cref="Poll"/> (places given back by other instances are not announced).
/// </summary>
internal sealed class WaitQueue(IBalancerState state, TimeProvider time, BalancerMetrics? metrics = null)
{
    /// <summary>How long a place given back elsewhere may go unnoticed.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedList<Waiter>> _lanes = new(StringComparer.Ordinal);
    private volatile int _waiting;

    /// <summary>Requests that wait now.</summary>
    public int Waiting => _waiting;

    /// <summary>A lease now, or as soon as one comes free within <c>max_queue_wait</c> and the request's own time.</summary>
    public async ValueTask<Acquisition> AcquireAsync(Exchange exchange, AcquireRequest request)
    {
        var lane = _waiting == 0 ? null : LaneOf(request);
        if (lane is null || !IsOccupied(lane))
        {
            if (await state.AcquireAsync(request, exchange.ClientLeft) is { } lease)
            {
                return new(lease, default);
            }
        }

        var refusal = await WhyAsync(request, exchange.ClientLeft);
        if (refusal.Reason == RefusalReason.None && !IsOccupied(lane ??= LaneOf(request))
            && await state.AcquireAsync(request, exchange.ClientLeft) is { } second)
        {
            // A place came free between the two looks.
            return new(second, default);
        }

        return IsWorthWaiting(refusal, LimitFor(exchange)) && Join(lane ?? LaneOf(request), exchange.Pool.Options.MaxQueueLength) is { } waiter
            ? await WaitAsync(exchange, request, waiter)
            : new(null, refusal);
    }

    /// <summary>A place was given back: first waiters look again.</summary>
    public void Pulse()
    {
        if (_waiting == 0)
        {
            return;
        }

        lock (_lock)
        {
            foreach (var lane in _lanes.Values)
            {
                lane.First?.Value.Wake();
            }
        }
    }

    private async ValueTask<Acquisition> WaitAsync(Exchange exchange, AcquireRequest request, Waiter waiter)
    {
        var since = time.GetTimestamp();
        var limit = LimitFor(exchange);
        var isServed = false;
        try
        {
            while (true)
            {
                var isFirst = IsFirst(waiter);
                var refusal = default(Refusal);
                if (isFirst)
                {
                    if (await state.AcquireAsync(request, exchange.ClientLeft) is { } lease)
                    {
                        isServed = true;
                        return new(lease, default);
                    }

                    refusal = await WhyAsync(request, exchange.ClientLeft);
                }

                var left = limit - time.GetElapsedTime(since);
                if (left <= TimeSpan.Zero || (isFirst && !IsWorthWaiting(refusal, left)))
                {
                    return new(null, isFirst ? refusal : await WhyAsync(request, exchange.ClientLeft));
                }

                await waiter.SleepAsync(isFirst ? Sooner(left, refusal) : left, time, exchange.ClientLeft);
            }
        }
        finally
        {
            Leave(waiter);
            metrics?.Waited(time.GetElapsedTime(since), isServed);
        }
    }

    private static TimeSpan LimitFor(Exchange exchange) =>
        exchange.Pool.Options.MaxQueueWait < exchange.Remaining ? exchange.Pool.Options.MaxQueueWait : exchange.Remaining;

    private static bool IsWorthWaiting(in Refusal refusal, TimeSpan limit) =>
        limit > TimeSpan.Zero
        && (refusal.Reason == RefusalReason.None || refusal.AnyFull || (refusal.AnyParked && refusal.SoonestFree <= limit));

    private static TimeSpan Sooner(TimeSpan left, in Refusal refusal)
    {
        // Only a full backend can come free unannounced; a parked one says when.
        var next = refusal.AnyFull || refusal.SoonestFree is null ? Poll : refusal.SoonestFree.Value + TimeSpan.FromMilliseconds(1);
        next = refusal.SoonestFree is { } free && free < next ? free + TimeSpan.FromMilliseconds(1) : next;
        return next < left ? next : left;
    }

    private static string LaneOf(in AcquireRequest request) =>
        request.Only is >= 0 ? "=" + request.Pool.Backends[request.Only.Value].Name
        : request.Tags is { Length: > 0 } tags ? request.Model + "\n" + string.Join('\n', tags) + Without(request)
        : request.Model + Without(request);

    /// <summary>A retry may not use every backend: whoever may must not wait behind it.</summary>
    private static string Without(AcquireRequest request) => request.Excluded.IsEmpty
        ? ""
        : "\n-" + string.Join("\n-", request.Pool.Backends.Where((_, index) => request.Excluded.Contains(index)));

    private async ValueTask<Refusal> WhyAsync(AcquireRequest request, CancellationToken cancellationToken) =>
        Refusal.Of(request, await state.ReadVitalsAsync(request.Pool, cancellationToken));

    private bool IsOccupied(string lane)
    {
        lock (_lock)
        {
            return _lanes.ContainsKey(lane);
        }
    }

    private Waiter? Join(string lane, int limit)
    {
        lock (_lock)
        {
            if (_waiting >= limit)
            {
                return null;
            }

            if (!_lanes.TryGetValue(lane, out var waiters))
            {
                _lanes[lane] = waiters = new LinkedList<Waiter>();
            }

            var waiter = new Waiter(lane);
            waiter.Node = waiters.AddLast(waiter);
            _waiting++;
            return waiter;
        }
    }

    private bool IsFirst(Waiter waiter)
    {
        lock (_lock)
        {
            return waiter.Node!.Previous is null;
        }
    }

    private void Leave(Waiter waiter)
    {
        lock (_lock)
        {
            var waiters = waiter.Node!.List!;
            waiters.Remove(waiter.Node);
            _waiting--;
            if (waiters.First is { } next)
            {
                next.Value.Wake();
            }
            else
            {
                _lanes.Remove(waiter.Lane);
            }
        }
    }

    private sealed class Waiter(string lane)
    {
        private volatile TaskCompletionSource _woken = New();

        public string Lane { get; } = lane;

        public LinkedListNode<Waiter>? Node { get; set; }

        public void Wake() => _woken.TrySetResult();

        /// <summary>Until woken or <paramref name="limit"/> is over; a call to wake that came before counts.</summary>
        public async Task SleepAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
        {
            try
            {
                await _woken.Task.WaitAsync(limit, time, cancellationToken);
                _woken = New();
            }
            catch (TimeoutException)
            {
                // Time to look again.
            }
        }

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
