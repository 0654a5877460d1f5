namespace Roadbalancer;

/// <summary>What a balancer has counted. The names of <see cref="ToDictionary"/> are in brackets.</summary>
public sealed record BalancerStats
{
    /// <summary>The strategy in force, by its configuration name (<c>strategy</c>).</summary>
    public required string Strategy { get; init; }

    /// <summary>How many endpoints there are (<c>total_endpoints</c>).</summary>
    public required int TotalEndpoints { get; init; }

    /// <summary>How many of them are well (<c>healthy_endpoints</c>).</summary>
    public required int HealthyEndpoints { get; init; }

    /// <summary>Attempts that ended, at all endpoints (<c>total_requests</c>).</summary>
    public required long TotalRequests { get; init; }

    /// <summary>Those that succeeded (<c>total_success</c>).</summary>
    public required long TotalSuccess { get; init; }

    /// <summary>Those that failed by the endpoint's fault (<c>total_failures</c>).</summary>
    public required long TotalFailures { get; init; }

    /// <summary>Successes among both, as <c>98.00%</c>; <c>N/A</c> without any (<c>success_rate</c>).</summary>
    public required string SuccessRate { get; init; }

    /// <summary>Each endpoint's own numbers, in the order of configuration (<c>endpoints</c>).</summary>
    public required IReadOnlyList<EndpointStats> Endpoints { get; init; }

    /// <summary>The flat form that the server's <c>GET /stats</c> has, with its names in its order.</summary>
    /// <returns>Texts, numbers, truth values and times; <c>endpoints</c> is a list of such dictionaries.</returns>
    public IReadOnlyDictionary<string, object?> ToDictionary() => new OrderedDictionary<string, object?>
    {
        ["strategy"] = Strategy,
        ["total_endpoints"] = TotalEndpoints,
        ["healthy_endpoints"] = HealthyEndpoints,
        ["total_requests"] = TotalRequests,
        ["total_success"] = TotalSuccess,
        ["total_failures"] = TotalFailures,
        ["success_rate"] = SuccessRate,
        ["endpoints"] = Endpoints.Select(endpoint => endpoint.ToDictionary()).ToArray(),
    };
}

/// <summary>What has been counted of one endpoint. The names of <see cref="ToDictionary"/> are in brackets.</summary>
public sealed record EndpointStats
{
    /// <summary>Its name (<c>name</c>).</summary>
    public required string Name { get; init; }

    /// <summary>Its base URL, without a query (<c>url</c>).</summary>
    public required string Url { get; init; }

    /// <summary>Whether it is well, though it may be full, parked or drained (<c>healthy</c>).</summary>
    public required bool Healthy { get; init; }

    /// <summary><c>healthy</c>, <c>unhealthy</c>, <c>trial</c>, <c>parked</c>, <c>misconfigured</c> or <c>disabled</c> (<c>status</c>).</summary>
    public required string Status { get; init; }

    /// <summary>Its weight (<c>weight</c>).</summary>
    public required int Weight { get; init; }

    /// <summary>Its priority (<c>priority</c>).</summary>
    public required int Priority { get; init; }

    /// <summary>Requests running now (<c>active_connections</c>).</summary>
    public required int ActiveConnections { get; init; }

    /// <summary>The most that may run at the same time (<c>max_connections</c>).</summary>
    public required int MaxConnections { get; init; }

    /// <summary>Attempts that ended (<c>total_requests</c>).</summary>
    public required long TotalRequests { get; init; }

    /// <summary>Those that succeeded (<c>total_success</c>).</summary>
    public required long TotalSuccess { get; init; }

    /// <summary>Those that failed by its fault (<c>total_failures</c>).</summary>
    public required long TotalFailures { get; init; }

    /// <summary>As <see cref="BalancerStats.SuccessRate"/> (<c>success_rate</c>).</summary>
    public required string SuccessRate { get; init; }

    /// <summary>Failures since the last success (<c>consecutive_failures</c>).</summary>
    public required int ConsecutiveFailures { get; init; }

    /// <summary>Attempts by what came of them, only those that happened (<c>outcomes</c>).</summary>
    public required IReadOnlyDictionary<string, long> Outcomes { get; init; }

    /// <summary>Durations of successful attempts (<c>response_time_ms</c>).</summary>
    public required LatencyStats ResponseTime { get; init; }

    /// <summary>Times to the first token of streams (<c>time_to_first_token_ms</c>).</summary>
    public required LatencyStats TimeToFirstToken { get; init; }

    /// <summary>Prompt tokens that its answers reported (<c>input_tokens</c>).</summary>
    public required long InputTokens { get; init; }

    /// <summary>Completion tokens that its answers reported (<c>output_tokens</c>).</summary>
    public required long OutputTokens { get; init; }

    /// <summary>The last failure in a few words; null for none (<c>last_error</c>).</summary>
    public string? LastError { get; init; }

    /// <summary>When that was (<c>last_error_time</c>).</summary>
    public DateTimeOffset? LastErrorTime { get; init; }

    /// <summary>When it was last probed; null for never (<c>last_check_time</c>).</summary>
    public DateTimeOffset? LastCheckTime { get; init; }

    /// <summary>The flat form, as <see cref="BalancerStats.ToDictionary"/>.</summary>
    /// <returns>Texts, numbers, truth values and times; outcomes and latencies are dictionaries.</returns>
    public IReadOnlyDictionary<string, object?> ToDictionary() => new OrderedDictionary<string, object?>
    {
        ["name"] = Name,
        ["url"] = Url,
        ["healthy"] = Healthy,
        ["status"] = Status,
        ["weight"] = Weight,
        ["priority"] = Priority,
        ["active_connections"] = ActiveConnections,
        ["max_connections"] = MaxConnections,
        ["total_requests"] = TotalRequests,
        ["total_success"] = TotalSuccess,
        ["total_failures"] = TotalFailures,
        ["success_rate"] = SuccessRate,
        ["consecutive_failures"] = ConsecutiveFailures,
        ["outcomes"] = Outcomes,
        ["response_time_ms"] = ResponseTime.ToDictionary(),
        ["time_to_first_token_ms"] = TimeToFirstToken.ToDictionary(),
        ["input_tokens"] = InputTokens,
        ["output_tokens"] = OutputTokens,
        ["last_error"] = LastError,
        ["last_error_time"] = LastErrorTime,
        ["last_check_time"] = LastCheckTime,
    };
}

/// <summary>Times in milliseconds, rounded to a tenth; percentiles from a histogram, within about a tenth of the value. All 0 without any.</summary>
/// <param name="Count">How many there were.</param>
/// <param name="MeanMs">Their mean.</param>
/// <param name="P50Ms">Half of them were shorter.</param>
/// <param name="P95Ms">95 % of them were shorter.</param>
/// <param name="P99Ms">99 % of them were shorter.</param>
public sealed record LatencyStats(long Count, double MeanMs, double P50Ms, double P95Ms, double P99Ms)
{
    internal IReadOnlyDictionary<string, object?> ToDictionary() => new OrderedDictionary<string, object?>
    {
        ["count"] = Count,
        ["mean"] = MeanMs,
        ["p50"] = P50Ms,
        ["p95"] = P95Ms,
        ["p99"] = P99Ms,
    };
}
