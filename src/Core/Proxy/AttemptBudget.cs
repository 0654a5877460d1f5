namespace Roadbalancer.Proxy;

/// <summary>
/// Keeps an outage from being multiplied: in any ten seconds extra attempts (retries, hedges) are at most a share of the requests, with a floor that
/// is always allowed. Per instance; ten buckets of a second each.
/// </summary>
internal sealed class AttemptBudget(TimeProvider time)
{
    private const int Buckets = 10;

    private readonly Lock _lock = new();
    private readonly long[] _requests = new long[Buckets];
    private readonly long[] _extras = new long[Buckets];
    private readonly long _startedAt = time.GetTimestamp();
    private long _second;
    private long _requestSum;
    private long _extraSum;
    private long _open;

    public void CountRequest()
    {
        lock (_lock)
        {
            var bucket = BucketNeedsLock();
            _requests[bucket]++;
            _requestSum++;
        }
    }

    /// <summary>Counts a request that is under way until <see cref="EndRequest"/>: long ones count for more than the ten seconds they began in.</summary>
    public void BeginRequest()
    {
        lock (_lock)
        {
            CountRequest();
            _open++;
        }
    }

    public void EndRequest()
    {
        lock (_lock)
        {
            _open--;
        }
    }

    /// <summary>Takes one extra attempt from the budget; false when it is used up.</summary>
    /// <param name="ratio">Extra attempts as a share of requests, 0 to 1.</param>
    /// <param name="floor">Extra attempts in ten seconds that are always allowed.</param>
    public bool TryTake(double ratio, int floor)
    {
        lock (_lock)
        {
            var bucket = BucketNeedsLock();
            if (_extraSum + 1 > Math.Max(floor, ratio * Math.Max(_requestSum, _open)))
            {
                return false;
            }

            _extras[bucket]++;
            _extraSum++;
            return true;
        }
    }

    private int BucketNeedsLock()
    {
        var second = (long)time.GetElapsedTime(_startedAt).TotalSeconds;
        for (var passed = Math.Min(second - _second, Buckets); passed > 0; passed--)
        {
            var stale = (int)((second - passed + 1) % Buckets);
            _requestSum -= _requests[stale];
            _extraSum -= _extras[stale];
            _requests[stale] = 0;
            _extras[stale] = 0;
        }

        _second = second;
        return (int)(second % Buckets);
    }
}
