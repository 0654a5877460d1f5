using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Admin;

/// <summary>What is done to a backend without changing its definition: probing it, forgetting its failures.</summary>
internal sealed partial class ActionRoutes(HealthProbe probe, StateReset reset, StandingReader reader, EventFeed feed, ILogger<ActionRoutes> log)
{
    public async ValueTask<AdminReply?> ProbeAsync(AdminCall call)
    {
        var pool = reader.Pools.Current;
        if (pool.IndexOf(call.Name) is var index && index < 0)
        {
            return Unknown(call, pool);
        }

        var outcome = await probe.ProbeAsync(pool, index, call.Left);
        var standing = await reader.ReadAsync(call.Left);
        var after = standing.Pool.IndexOf(call.Name);
        return AdminReply.Data(new JsonObject
        {
            ["name"] = pool.Backends[index].Name,
            ["healthy"] = OutcomeTable.For(outcome.Kind).Blame is Blame.Praise or Blame.Park,
            ["outcome"] = Trail.NameOf(outcome.Kind),
            ["status_code"] = outcome.Status == 0 ? null : outcome.Status,
            ["response_time"] = AdminJson.Seconds(outcome.DurationMs),
            ["detail"] = outcome.Detail,
            ["checked_at"] = after < 0 ? null : AdminJson.Time(standing.Of(after).Totals.LastCheckAtUnixMs),
            ["backend_status"] = after < 0 ? null : standing.StatusOf(after),
        });
    }

    public async ValueTask<AdminReply?> ResetAsync(AdminCall call)
    {
        var pool = reader.Pools.Current;
        if (pool.IndexOf(call.Name) is var index && index < 0)
        {
            return Unknown(call, pool);
        }

        if (pool.Options.Mode == BalancingMode.SingleBackend)
        {
            return AdminReply.Error(StatusCodes.Status409Conflict, "balancing_off", "Balancing is switched off: nothing is held against the one backend.");
        }

        var name = pool.Backends[index].Name;
        var everywhere = await reset.ResetAsync(pool, index);
        LogReset(call.By, call.From, name);
        feed.ReportReset(call.By, name);
        var standing = await reader.ReadAsync(call.Left);
        var after = standing.Pool.IndexOf(name);
        return AdminReply.Done($"What stood against backend {name} is forgotten.", new JsonObject
        {
            ["backend"] = after < 0 ? null : BackendView.Item(standing, after, reader.Pools),
            ["in_force"] = PoolChanges.InForce(everywhere),
        });
    }

    private static AdminReply Unknown(AdminCall call, Pool pool) => AdminReply.UnknownBackend(call.Name, pool.Backends.Select(backend => backend.Name));

    [LoggerMessage(7020, LogLevel.Information, "{By} from {From}: backend_reset {Backend}")]
    private partial void LogReset(string by, string from, string backend);
}
