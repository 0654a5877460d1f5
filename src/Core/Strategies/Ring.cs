using System.Collections.Immutable;
using System.Text;
using Roadbalancer.Backends;

namespace Roadbalancer.Strategies;

/// <summary>
/// Where each backend sits on the hash ring. Immutable; built when a pool is. A backend's points follow from its name and weight
/// alone, so that another's leaving, or a new order in the configuration, moves none of its keys.
/// </summary>
/// <remarks>
/// Beyond <see cref="MostPoints"/> all counts are halved together until they fit: there, a change that crosses a power of two of the
/// total moves keys of others too. Two points at the same place (1 in 10^10 rings) are in the order that the sort left them in.
/// </remarks>
internal sealed class Ring
{
    public static readonly Ring Empty = new([], []);

    private const int PointsPerWeight = 100;
    private const int MostPoints = 40_000;

    private readonly ulong[] _points;
    private readonly int[] _owners;

    private Ring(ulong[] points, int[] owners)
    {
        _points = points;
        _owners = owners;
    }

    /// <summary>How many points there are.</summary>
    public int Points => _points.Length;

    public static Ring Build(ImmutableArray<Backend> backends)
    {
        var halvings = 0;
        while (backends.Sum(backend => PointsOf(backend, halvings)) is var total && total > MostPoints && total > backends.Length)
        {
            halvings++;
        }

        var points = new List<ulong>();
        var owners = new List<int>();
        for (var index = 0; index < backends.Length; index++)
        {
            var sequence = new Chance(HashOf(backends[index].Name));
            for (var left = PointsOf(backends[index], halvings); left > 0; left--)
            {
                points.Add(sequence.NextBits());
                owners.Add(index);
            }
        }

        ulong[] sortedPoints = [.. points];
        int[] sortedOwners = [.. owners];
        Array.Sort(sortedPoints, sortedOwners);
        return new Ring(sortedPoints, sortedOwners);
    }

    /// <summary>The step at which the walk for <paramref name="key"/> begins: its first point at or after the key.</summary>
    public int Start(ulong key)
    {
        var found = Array.BinarySearch(_points, key);
        return found >= 0 ? found : ~found;
    }

    /// <summary>The index of the backend that owns the point at <paramref name="step"/>; steps beyond the last point start over, once.</summary>
    public int OwnerAt(int step) => _owners[step < _owners.Length ? step : step - _owners.Length];

    /// <summary>The position in <paramref name="candidates"/> (ascending by index) of the owner of <paramref name="step"/>, or -1.</summary>
    public int Find(ReadOnlySpan<Candidate> candidates, int step)
    {
        var owner = OwnerAt(step);
        if (owner < candidates.Length && candidates[owner].Index == owner)
        {
            return owner;
        }

        int low = 0, high = candidates.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) >> 1;
            var index = candidates[middle].Index;
            if (index == owner)
            {
                return middle;
            }

            (low, high) = index < owner ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }

    private static long PointsOf(Backend backend, int halvings) =>
        backend.Weight == 0 ? 0 : Math.Max(1, ((long)backend.Weight * PointsPerWeight) >> halvings);

    /// <summary>FNV-1a, 64 bits: the same in every process, unlike <see cref="string.GetHashCode()"/>.</summary>
    private static ulong HashOf(string name)
    {
        var hash = 0xCBF29CE484222325;
        foreach (var part in Encoding.UTF8.GetBytes(name))
        {
            hash = (hash ^ part) * 0x100000001B3;
        }

        return hash;
    }
}
