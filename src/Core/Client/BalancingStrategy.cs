namespace Roadbalancer;

/// <summary>Which endpoint gets the next request. The names that configuration uses are in brackets: key <c>strategy</c>.</summary>
public enum BalancingStrategy
{
    /// <summary>Each in turn (<c>round_robin</c>), the default.</summary>
    RoundRobin = 0,

    /// <summary>In turn by weight, evenly spread (<c>weighted_round_robin</c>): 5:1:1 gives A A B A C A A.</summary>
    WeightedRoundRobin = 1,

    /// <summary>Another name of <see cref="WeightedRoundRobin"/> (<c>weighted</c>).</summary>
    Weighted = WeightedRoundRobin,

    /// <summary>The fewest running requests for its weight (<c>least_connections</c>).</summary>
    LeastConnections = 2,

    /// <summary>Another name of <see cref="LeastConnections"/> (<c>least_conn</c>).</summary>
    LeastConn = LeastConnections,

    /// <summary>By chance, in proportion to the weights (<c>random</c>).</summary>
    Random = 3,

    /// <summary>The same endpoint for the same session, cache key, user or beginning of the prompt, with bounded load (<c>consistent_hash</c>).</summary>
    ConsistentHash = 4,

    /// <summary>The faster of two random choices, by recent response times (<c>response_time</c>).</summary>
    ResponseTime = 5,
}
