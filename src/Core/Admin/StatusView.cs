using System.Text.Json.Nodes;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Admin;

/// <summary>The whole in a few numbers: <c>GET /status</c>, and the head of the status event.</summary>
/// <param name="pools">The pool in force.</param>
/// <param name="queue">Requests that wait here.</param>
/// <param name="time">The time that is told.</param>
/// <param name="isFallenBack">Whether the shared store does not serve; null without one.</param>
internal sealed class StatusView(PoolSource pools, WaitQueue queue, TimeProvider time, Func<bool>? isFallenBack = null)
{
    public JsonObject Status(Standing standing, JsonNode durable)
    {
        var status = new JsonObject
        {
            ["enabled"] = IsBalanced(standing),
            ["strategy"] = standing.Pool.Strategy.Name,
        };
        Count(status, standing);
        status["available_backends"] = AdminJson.List(standing.Pool.Backends.Where((_, index) => standing.IsAvailable(index)).Select(backend => backend.Name));
        status["in_flight"] = standing.InFlight;
        status["health_check_running"] = IsProbed(standing);
        status["health_check_interval"] = standing.Pool.Options.HealthCheckInterval.TotalSeconds;
        status["overall_statistics"] = Overall(standing);
        status["shared_state"] = Shared();
        status["version"] = pools.Edits.Version;
        status["durable"] = durable;
        status["time"] = AdminJson.Time(time.GetUtcNow());
        return status;
    }

    /// <summary>What the status event begins with.</summary>
    public JsonObject Head(Standing standing)
    {
        var head = new JsonObject
        {
            ["time"] = AdminJson.Time(time.GetUtcNow()),
            ["version"] = pools.Edits.Version,
            ["strategy"] = standing.Pool.Strategy.Name,
            ["health_check_running"] = IsProbed(standing),
            ["shared_state"] = Shared(),
        };
        Count(head, standing);
        head["in_flight"] = standing.InFlight;
        head["waiting"] = queue.Waiting;
        return head;
    }

    private static void Count(JsonObject into, Standing standing)
    {
        var (total, healthy) = (standing.Pool.Backends.Length, standing.Healthy);
        into["total_backends"] = total;
        into["healthy_backends"] = healthy;
        into["unhealthy_backends"] = total - healthy;
    }

    private static JsonObject Overall(Standing standing)
    {
        var totals = standing.Pool.Backends.Select((_, index) => standing.Of(index).Totals).ToList();
        var (successes, failures) = (totals.Sum(one => one.Successes), totals.Sum(one => one.Failures));
        var answered = totals.Sum(one => one.Duration.Count);
        return new()
        {
            ["total_requests"] = totals.Sum(one => one.Requests),
            ["successful_requests"] = successes,
            ["failed_requests"] = failures,
            ["success_rate"] = AdminJson.Ratio(successes, failures),
            ["average_response_time"] = answered == 0 ? 0 : AdminJson.Seconds(totals.Sum(one => one.Duration.SumMicroseconds) / 1000.0 / answered),
            ["input_tokens"] = totals.Sum(one => one.InputTokens),
            ["output_tokens"] = totals.Sum(one => one.OutputTokens),
        };
    }

    private static bool IsBalanced(Standing standing) => standing.Pool.Options.Mode != BalancingMode.SingleBackend;

    private static bool IsProbed(Standing standing) => standing.Pool.Options.HealthCheckEnabled && IsBalanced(standing);

    private string Shared() => isFallenBack is null ? "memory" : isFallenBack() ? "fallback" : "redis";
}
