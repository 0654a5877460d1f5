namespace Roadbalancer.Keys;

/// <summary>The books of one process.</summary>
internal sealed class InMemoryKeyBooks(TimeProvider time) : IKeyBooks
{
    /// <summary>Windows beyond which idle ones are dropped: names come and go with configurations.</summary>
    private const int Many = 2_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, KeyWindow> _windows = new(StringComparer.OrdinalIgnoreCase);
    private readonly (long At, long Ms) _start = (time.GetTimestamp(), time.GetUtcNow().ToUnixTimeMilliseconds());
    private long _lastHold;

    /// <summary>Unix milliseconds that never jump.</summary>
    private long NowMs => _start.Ms + (long)time.GetElapsedTime(_start.At).TotalMilliseconds;

    public ValueTask<KeyVerdict?> ReserveAsync(KeyDemand demand)
    {
        lock (_lock)
        {
            if (!_windows.TryGetValue(demand.Key.Name, out var window))
            {
                DropIdleNeedsLock();
                _windows[demand.Key.Name] = window = new KeyWindow();
            }

            return new(window.Reserve(demand.Key.Limits, demand.Tokens, ++_lastHold, NowMs));
        }
    }

    public ValueTask SettleAsync(KeyDemand demand, KeyVerdict verdict, long tokens)
    {
        lock (_lock)
        {
            if (_windows.TryGetValue(demand.Key.Name, out var window))
            {
                window.Settle(verdict, demand.Tokens, tokens, NowMs);
            }
        }

        return default;
    }

    private void DropIdleNeedsLock()
    {
        if (_windows.Count < Many)
        {
            return;
        }

        foreach (var (name, window) in _windows)
        {
            if (window.IsIdle(NowMs))
            {
                _windows.Remove(name);
            }
        }
    }
}
