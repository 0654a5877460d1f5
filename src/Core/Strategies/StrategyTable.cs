namespace Roadbalancer.Strategies;

/// <summary>The strategies by configuration name and alias.</summary>
internal static class StrategyTable
{
    private static readonly IStrategy[] Strategies =
    [
        new RoundRobin(),
        new WeightedRoundRobin(),
        new LeastConnections(),
        new RandomChoice(),
        new ConsistentHash(),
        new ResponseTime(),
    ];

    private static readonly Dictionary<string, string> Aliases = new(StringComparer.OrdinalIgnoreCase)
    {
        ["weighted"] = "weighted_round_robin",
        ["least_conn"] = "least_connections",
    };

    private static readonly Dictionary<string, IStrategy> ByName = Strategies.Select(strategy => (strategy.Name, strategy))
        .Concat(Aliases.Select(alias => (alias.Key, Strategies.Single(strategy => strategy.Name == alias.Value))))
        .ToDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>Every strategy once.</summary>
    public static IReadOnlyList<IStrategy> All => Strategies;

    /// <summary>Every accepted name, aliases included, in alphabetical order.</summary>
    public static IEnumerable<string> Names => ByName.Keys.Order(StringComparer.Ordinal);

    public static bool Knows(string name) => ByName.ContainsKey(name);

    /// <exception cref="ArgumentException">No strategy has that name.</exception>
    public static IStrategy Get(string name) =>
        ByName.TryGetValue(name, out var strategy) ? strategy : throw new ArgumentException($"No strategy is called '{name}'.", nameof(name));
}
