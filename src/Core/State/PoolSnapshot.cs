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
    private static readonly BackendSnapshot Unknown = new("", new Vitals(), new BackendTotals());

    /// <summary>The entry for <paramref name="name"/>; a fresh one for a backend that the store has not heard of.</summary>
    public BackendSnapshot For(string name)
    {
        foreach (var backend in Backends)
        {
            if (string.Equals(backend.Name, name, StringComparison.OrdinalIgnoreCase))
            {
                return backend;
            }
        }

        return Unknown with { Name = name };
    }
}

/// <summary>One backend in a <see cref="PoolSnapshot"/>; copies, never the store's own.</summary>
internal sealed record BackendSnapshot(string Name, Vitals Vitals, BackendTotals Totals);
