using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>A reserved place on a backend, to be given back exactly once through <see cref="IBalancerState.ReleaseAsync"/>.</summary>
internal sealed class Lease
{
    private int _returned;

    public Lease(Pool pool, int index, long id, long epoch, bool isTrial)
    {
        Pool = pool;
        Index = index;
        Id = id;
        Epoch = epoch;
        IsTrial = isTrial;
    }

    public Pool Pool { get; }

    /// <summary>Position of the backend in <see cref="Pool"/>.</summary>
    public int Index { get; }

    public Backend Backend => Pool.Backends[Index];

    /// <summary>Unique in its store; 0 for a probe, which reserves nothing.</summary>
    public long Id { get; }

    /// <summary>The circuit's epoch when the lease was taken: an outcome of an older epoch no longer moves the circuit.</summary>
    public long Epoch { get; }

    /// <summary>True for the one request that tries a half-open circuit.</summary>
    public bool IsTrial { get; }

    /// <summary>The requested model, where an outcome may say something about it alone.</summary>
    public string? Model { get; init; }

    /// <summary>True for a lease of the store that instances share, false for one of this process's memory.</summary>
    public bool IsShared { get; init; }

    public bool IsProbe => Id == 0;

    public static Lease ForProbe(Pool pool, int index) => new(pool, index, id: 0, epoch: 0, isTrial: false);

    /// <summary>True the first time only: stores ignore a second return.</summary>
    public bool TryReturn() => Interlocked.Exchange(ref _returned, 1) == 0;
}
