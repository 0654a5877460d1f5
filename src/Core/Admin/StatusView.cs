using System.Text.Json.Nodes;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Stats;

namespace Roadbalancer.Admin;

/// <summary>The whole in a few numbers: <c>GET /status</c>, and the head of the status event.</summary>
/// <param name="pools">The pool in force.</param>
/// <param name="accounts">Knows which changes are kept.</param>
/// <param name="queue">Requests that wait here.</param>
/// <param name="time">The time that is told.</param>
/// <param name="isFallenBack">Whether the shared store does not serve; null without one.</param>
internal sealed class StatusView(PoolSource pools, Accounts accounts, WaitQueue queue, TimeProvider time, Func<bool>? isFallenBack = null)
{
    public JsonObject Status(Standing standing)
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
        status["durable"] = Durable();
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
            ["durable"] = Durable(),
            ["strategy"] = standing.Pool.Strategy.Name,
            ["health_check_running"] = IsProbed(standing),
            ["shared_state"] = Shared(),
        };
        Count(head, standing);
        head["in_flight"] = standing.InFlight;
        head["waiting"] = queue.Waiting;
        return head;
    }

    /// <summary>True once the newest change is kept, else <c>"pending"</c>.</summary>
    public JsonNode Durable() => accounts.IsDurable(pools.Edits) ? true : "pending";

    private static void Count(JsonObject into, Standing standing)
    {
        var (total, healthy) = (standing.Pool.Backends.Length, standing.Healthy);
        into["total_backends"] = total;
        into["healthy_backends"] = healthy;
        into["unhealthy_backends"] = total - healthy;
    }

    private static JsonObject Overall(Standing standing)
    {
        var overall = new JsonObject();
        AdminJson.Count(overall, BackendTotals.Sum([.. standing.Pool.Backends.Select((_, index) => standing.Of(index).Totals)]));
        return overall;
    }

    private static bool IsBalanced(Standing standing) => standing.Pool.Options.Mode != BalancingMode.SingleBackend;

    private static bool IsProbed(Standing standing) => standing.Pool.Options.HealthCheckEnabled && IsBalanced(standing);

    private string Shared() => isFallenBack is null ? "memory" : isFallenBack() ? "fallback" : "redis";
}
