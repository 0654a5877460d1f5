using System.Collections.Immutable;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Backends;

/// <summary>
/// One immutable snapshot of what is balanced over and how. A reload builds a new one and swaps the reference
/// (<see cref="PoolSource"/>); a request keeps the pool that it began with, so an index into <see cref="Backends"/> stays true for it.
/// </summary>
internal sealed class Pool
{
    /// <summary>The only pool's name today. State stores key by it (<c>{default}:…</c>).</summary>
    public const string DefaultName = "default";

    private readonly Dictionary<string, int> _indexByName;

    public Pool(BalancerOptions options, long version)
    {
        Options = options;
        Version = version;
        Strategy = StrategyTable.Get(options.Strategy);
        Backends = options.Backends;
        Keys = new KeyRing(options.ClientKeys, options.IsClosed);
        Ring = Strategy is ConsistentHash ? Ring.Build(Backends) : Ring.Empty;
        _indexByName = Backends.Select((backend, index) => (backend.Name, index))
            .ToDictionary(pair => pair.Name, pair => pair.index, StringComparer.OrdinalIgnoreCase);
    }

    public string Name { get; } = DefaultName;

    /// <summary>Grows with every change of the pool's definition.</summary>
    public long Version { get; }

    /// <summary>The settings that this pool was built from.</summary>
    public BalancerOptions Options { get; }

    public ImmutableArray<Backend> Backends { get; }

    /// <summary>Who may call.</summary>
    public KeyRing Keys { get; }

    /// <summary>Who may manage; made when first asked for. A secret that is a client's too, by a key made at run time, is the client's alone.</summary>
    public KeyRing AdminKeys => field ??= new KeyRing(
        [.. Options.AdminKeys.Where(admin => !Options.ClientKeys.Any(client => client.Hash == admin.Hash))], isClosed: !Options.AdminKeys.IsEmpty, remembers: false);

    public IStrategy Strategy { get; }

    /// <summary>Where each backend sits on the hash ring; empty unless the strategy is <c>consistent_hash</c>.</summary>
    public Ring Ring { get; }

    /// <summary>The index of the backend called <paramref name="name"/>, or -1.</summary>
    public int IndexOf(string name) => _indexByName.TryGetValue(name, out var index) ? index : -1;
}
