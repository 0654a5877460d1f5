using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>What a request asks of the pool. Rolls are drawn by the caller, so that a store decides without chance of its own.</summary>
internal readonly struct AcquireRequest
{
    /// <summary>The pool as the request knows it; indices below are into its backends.</summary>
    public required Pool Pool { get; init; }

    /// <summary>The requested model, or null. Backends that do not serve it, or were found not to have it, are passed over.</summary>
    public string? Model { get; init; }

    /// <summary>Tags that a backend must carry, all of them.</summary>
    public string[]? Tags { get; init; }

    /// <summary>Backends not to use: tried already, or unfit for what this request needs.</summary>
    public BackendSet Excluded { get; init; }

    /// <summary>The only backend to use, as an index; null or negative for any.</summary>
    public int? Only { get; init; }

    /// <summary>True: circuits and misconfiguration are no obstacle, and the backend that is the least bad is taken (panic mode).</summary>
    public bool Panic { get; init; }

    /// <summary>See <see cref="Strategies.PickInput.AffinityKey"/>.</summary>
    public ulong AffinityKey { get; init; }

    /// <summary>Uniform in [0, 1): the strategy's first draw.</summary>
    public double Roll1 { get; init; }

    /// <summary>Uniform in [0, 1): the strategy's second draw.</summary>
    public double Roll2 { get; init; }

    /// <summary>Uniform in [0, 1): admits a backend in slow start when below the share that it has grown to.</summary>
    public double SlowStartRoll { get; init; }
}
