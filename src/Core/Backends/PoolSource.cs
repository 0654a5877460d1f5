using Roadbalancer.Options;

namespace Roadbalancer.Backends;

/// <summary>Holds the pool in force; a change swaps one reference, so that no request ever sees half of it.</summary>
internal sealed class PoolSource
{
    private readonly Lock _lock = new();
    private volatile Pool _current;
    private volatile BalancerOptions _configured;
    private volatile PoolEdits _edits = PoolEdits.None;

    public PoolSource(BalancerOptions options) => (_configured, _current) = (options, new Pool(options, version: 1));

    /// <summary>Raised after a swap, on the thread that made it, with the pool before and the pool after.</summary>
    public event Action<Pool, Pool>? Changed;

    public Pool Current => _current;

    /// <summary>The configuration without what was changed at run time.</summary>
    public BalancerOptions Configured => _configured;

    /// <summary>What was changed at run time, over the configuration.</summary>
    public PoolEdits Edits => _edits;

    /// <summary>Puts a new configuration in force under the next version; what was changed at run time stays changed.</summary>
    public Pool Swap(BalancerOptions options) => Put(options, null);

    /// <summary>Puts <paramref name="edits"/> in force over the configuration, in place of those before.</summary>
    public Pool Edit(PoolEdits edits) => Put(null, edits);

    private Pool Put(BalancerOptions? options, PoolEdits? edits)
    {
        Pool before, after;
        lock (_lock)
        {
            before = _current;
            _configured = options ?? _configured;
            _edits = edits ?? _edits;
            after = new Pool(_edits.ApplyTo(_configured), before.Version + 1);
            _current = after;
        }

        Changed?.Invoke(before, after);
        return after;
    }
}
