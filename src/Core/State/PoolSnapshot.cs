using System.Collections.Immutable;
using Roadbalancer.Health;
using Roadbalancer.Stats;

namespace Roadbalancer.State;

/// <summary>What a store knew of a pool at one moment of its own clock.</summary>
/// <param name="Pool">The pool's name.</param>
/// <param name="NowMs">The store's clock when it was taken.</param>
/// <param name="Backends">One entry a backend that the store has heard of, by name.</param>
internal sealed record PoolSnapshot(string Pool, long NowMs, ImmutableArray<BackendSnapshot> Backends)
{
    /// <summary>A number that changes when a shared store lost what it had and began anew; 0 for a store in memory that began by itself.</summary>
    public long Birth { get; init; }

    /// <summary>The entry for <paramref name="name"/>; a fresh one for a backend that the store has not heard of.</summary>
    /// <param name="name">The backend's name.</param>
    /// <param name="likelyIndex">Where it is to be looked for first: stores list the pool's own backends in the pool's order.</param>
    public BackendSnapshot For(string name, int likelyIndex = 0)
    {
        if (likelyIndex < Backends.Length && string.Equals(Backends[likelyIndex].Name, name, StringComparison.OrdinalIgnoreCase))
        {
            return Backends[likelyIndex];
        }

        foreach (var backend in Backends)
        {
            if (string.Equals(backend.Name, name, StringComparison.OrdinalIgnoreCase))
            {
                return backend;
            }
        }

        return new BackendSnapshot(name, new Vitals(), new BackendTotals());
    }
}

/// <summary>One backend in a <see cref="PoolSnapshot"/>; copies, never the store's own.</summary>
internal sealed record BackendSnapshot(string Name, Vitals Vitals, BackendTotals Totals)
{
    private static readonly BackendTotals NotRead = new();

    /// <summary>Without what was counted; nobody may write to those totals.</summary>
    public BackendSnapshot(string name, Vitals vitals)
        : this(name, vitals, NotRead)
    {
    }
}
