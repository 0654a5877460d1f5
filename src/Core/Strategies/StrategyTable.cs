namespace Roadbalancer.Strategies;

/// <summary>The strategies by configuration name and alias.</summary>
internal static class StrategyTable
{
    private static readonly Dictionary<string, IStrategy> ByName = new(StringComparer.OrdinalIgnoreCase)
    {
        ["round_robin"] = new RoundRobin(),
        ["consistent_hash"] = new ConsistentHash(),
    };

    /// <summary>Every accepted name, aliases included, in alphabetical order.</summary>
    public static IEnumerable<string> Names => ByName.Keys.Order(StringComparer.Ordinal);

    public static bool Knows(string name) => ByName.ContainsKey(name);

    /// <exception cref="ArgumentException">No strategy has that name.</exception>
    public static IStrategy Get(string name) =>
        ByName.TryGetValue(name, out var strategy) ? strategy : throw new ArgumentException($"No strategy is called '{name}'.", nameof(name));
}
