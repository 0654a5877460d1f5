using Roadbalancer.Options;

namespace Roadbalancer.Backends;

/// <summary>Holds the pool in force; a change swaps one reference, so that no request ever sees half of it.</summary>
internal sealed class PoolSource
{
    private readonly Lock _lock = new();
    private volatile Pool _current;

    public PoolSource(BalancerOptions options) => _current = new Pool(options, version: 1);

    /// <summary>Raised after a swap, on the thread that made it, with the pool before and the pool after.</summary>
    public event Action<Pool, Pool>? Changed;

    public Pool Current => _current;

    /// <summary>Puts <paramref name="options"/> in force under the next version.</summary>
    public Pool Swap(BalancerOptions options)
    {
        Pool before, after;
        lock (_lock)
        {
            before = _current;
            after = new Pool(options, before.Version + 1);
            _current = after;
        }

        Changed?.Invoke(before, after);
        return after;
    }
}
