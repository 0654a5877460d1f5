using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Stats;

/// <summary>Puts what a store has counted into the form that the server's <c>/stats</c> and the client library tell it in.</summary>
internal static class StatsReport
{
    public static BalancerStats Of(Pool pool, PoolSnapshot snapshot)
    {
        var backends = pool.Backends.Select((backend, index) => snapshot.For(backend.Name, index)).ToArray();
        var obstacles = backends.Select((backend, index) => ConditionOf(pool, index, backend.Vitals, snapshot.NowMs)).ToArray();
        var successes = backends.Sum(backend => backend.Totals.Successes);
        var failures = backends.Sum(backend => backend.Totals.Failures);
        return new BalancerStats
        {
            Strategy = pool.Strategy.Name,
            TotalEndpoints = backends.Length,
            HealthyEndpoints = obstacles.Where((obstacle, index) => IsHealthy(obstacle, backends[index].Vitals)).Count(),
            TotalRequests = backends.Sum(backend => backend.Totals.Requests),
            TotalSuccess = successes,
            TotalFailures = failures,
            SuccessRate = RateOf(successes, failures),
            Endpoints = [.. backends.Select((backend, index) => Of(pool.Backends[index], obstacles[index], backend))],
        };
    }

    private static EndpointStats Of(Backend backend, Obstacle obstacle, BackendSnapshot snapshot)
    {
        var (vitals, totals) = (snapshot.Vitals, snapshot.Totals);
        return new EndpointStats
        {
            Name = backend.Name,
            Url = backend.BaseUrl.GetLeftPart(UriPartial.Path),
            Healthy = IsHealthy(obstacle, vitals),
            Status = StatusOf(obstacle, vitals),
            Weight = backend.Weight,
            Priority = backend.Priority,
            ActiveConnections = vitals.InFlight,
            MaxConnections = backend.MaxConnections,
            TotalRequests = totals.Requests,
            TotalSuccess = totals.Successes,
            TotalFailures = totals.Failures,
            SuccessRate = RateOf(totals.Successes, totals.Failures),
            ConsecutiveFailures = vitals.ConsecutiveFailures,
            Outcomes = OutcomesOf(totals),
            ResponseTime = Of(totals.Duration),
            TimeToFirstToken = Of(totals.FirstToken),
            InputTokens = totals.InputTokens,
            OutputTokens = totals.OutputTokens,
            LastError = totals.LastError,
            LastErrorTime = TimeOf(totals.LastErrorAtUnixMs),
            LastCheckTime = TimeOf(totals.LastCheckAtUnixMs),
        };
    }

    public static OrderedDictionary<string, long> OutcomesOf(BackendTotals totals)
    {
        var outcomes = new OrderedDictionary<string, long>();
        for (var kind = 0; kind < totals.ByKind.Length; kind++)
        {
            if (totals.ByKind[kind] > 0)
            {
                outcomes.Add(Trail.NameOf((OutcomeKind)kind), totals.ByKind[kind]);
            }
        }

        return outcomes;
    }

    private static LatencyStats Of(Histogram histogram) => new(
        histogram.Count, Math.Round(histogram.MeanMs, 1), Math.Round(histogram.Percentile(0.5), 1), Math.Round(histogram.Percentile(0.95), 1),
        Math.Round(histogram.Percentile(0.99), 1));

    private static DateTimeOffset? TimeOf(long unixMs) => unixMs == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(unixMs);

    /// <summary>What stands against the backend itself; that it is drained says nothing of its health.</summary>
    public static Obstacle ConditionOf(Pool pool, int index, Vitals vitals, long nowMs) => !pool.Backends[index].Enabled
        ? Obstacle.Disabled
        : Eligibility.Passing(new AcquireRequest { Pool = pool }, pool.Backends[index], vitals, nowMs);

    /// <summary>Whether a backend so placed counts as healthy: busy, resting or drained is no illness; that its cooldown is over and nothing has tried it yet is no health.</summary>
    public static bool IsHealthy(Obstacle obstacle, Vitals vitals) => vitals.Circuit == CircuitState.Closed && obstacle is Obstacle.None or Obstacle.SlowStart or Obstacle.Full or Obstacle.Parked or Obstacle.Drained;

    public static string StatusOf(Obstacle obstacle, Vitals vitals) => obstacle switch
    {
        Obstacle.Disabled => "disabled",
        Obstacle.Misconfigured => "misconfigured",
        Obstacle.CircuitOpen => "unhealthy",
        Obstacle.TrialRunning => "trial",
        Obstacle.Parked => "parked",
        _ => vitals.Circuit == CircuitState.Open ? "trial" : "healthy",
    };

    private static string RateOf(long successes, long failures) =>
        successes + failures == 0 ? "N/A" : (100.0 * successes / (successes + failures)).ToString("0.00", CultureInfo.InvariantCulture) + "%";
}
