using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Strategies;

/// <summary>Where each backend sits on the hash ring. Immutable; built when a pool is.</summary>
internal sealed class Ring
{
    public static readonly Ring Empty = new();

    private Ring()
    {
    }

    public static Ring Build(ImmutableArray<Backend> backends) => backends.IsEmpty ? Empty : new Ring();
}
