using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Admin;

/// <summary>What a change comes to: new edits, a refusal, or neither where nothing is to be changed.</summary>
internal readonly record struct Step(PoolEdits? Edits, AdminReply? Refusal)
{
    public static readonly Step Nothing;

    public static Step To(PoolEdits edits) => new(edits, null);

    public static Step Refuse(AdminReply refusal) => new(null, refusal);
}

/// <summary>The pool as a change finds it.</summary>
/// <param name="Edits">What was changed before.</param>
/// <param name="Configured">The configuration without that.</param>
internal readonly record struct Ground(PoolEdits Edits, BalancerOptions Configured)
{
    /// <summary>What is in force.</summary>
    public BalancerOptions InForce { get; } = Edits.ApplyTo(Configured);

    public Backend? Find(string name) => InForce.Backends.FirstOrDefault(backend => backend.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public Backend? FindConfigured(string name) => Configured.Backends.FirstOrDefault(backend => backend.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public Step Unknown(string name) => Step.Refuse(AdminReply.UnknownBackend(name, InForce.Backends.Select(backend => backend.Name)));
}

/// <summary>Makes changes of the pool for callers of the management API: at every instance, with a line for the audit.</summary>
internal sealed partial class PoolChanges(PoolSource pools, PoolSync sync, StandingReader reader, StatusView view, ILogger<PoolChanges> log)
{
    private const string Everywhere = "everywhere";
    private const string HereAlone = "here";

    /// <summary>Makes the change; null, or why it was refused. <paramref name="change"/> may be called again when another instance was faster.</summary>
    /// <param name="call">Who asks.</param>
    /// <param name="action">What is done, as events call it.</param>
    /// <param name="backend">Whose; null where it is not of one backend.</param>
    /// <param name="change">The change.</param>
    public async ValueTask<Made> MakeAsync(AdminCall call, string action, string? backend, Func<Ground, Step> change)
    {
        if (pools.Current.Options.Mode == BalancingMode.SingleBackend)
        {
            return new(AdminReply.Error(StatusCodes.Status409Conflict, "balancing_off",
                "Balancing is switched off (LOAD_BALANCE_ENABLED=false or VLLM_SERVER_URL): one backend gets everything. Configure LLM_BACKENDS or LOAD_BALANCE_ENABLED=true to change anything here."), true);
        }

        AdminReply? refusal = null;
        PoolDiff? diff = null;
        var made = await sync.ChangeAsync(
            edits =>
            {
                var ground = new Ground(edits, pools.Configured);
                (var wanted, refusal) = change(ground);
                wanted = wanted is null ? null : wanted with { Last = new ChangeNote(call.By, action, backend) };
                diff = wanted is null ? null : PoolDiff.Between(ground.InForce, wanted.ApplyTo(ground.Configured));
                return wanted;
            },
            call.Left);
        if (diff is not null)
        {
            LogChanged(call.By, call.From, action, backend ?? "all", pools.Edits.Version, diff.Text("before"), diff.Text("after"));
        }

        return new(refusal, made.IsShared);
    }

    /// <summary>The reply to a change that was made, with the backend as it is now.</summary>
    public async ValueTask<AdminReply> ReplyAsync(AdminCall call, Made made, string message, string? backend, int status = StatusCodes.Status200OK)
    {
        var standing = await reader.ReadAsync(call.Left);
        var index = backend is null ? -1 : standing.Pool.IndexOf(backend);
        var data = Facts(made);
        data.Insert(0, "backend", index < 0 ? null : BackendView.Item(standing, index, pools));
        var servesNobody = !standing.Pool.Backends.Any(other => other is { Enabled: true, Draining: false, Weight: > 0 });
        return AdminReply.Done(servesNobody ? message + " No backend takes requests now." : message, data, status);
    }

    /// <summary><c>version</c>, <c>in_force</c>, <c>durable</c>.</summary>
    public JsonObject Facts(Made made) => new() { ["version"] = pools.Edits.Version, ["in_force"] = InForce(made.Everywhere), ["durable"] = view.Durable() };

    public static string InForce(bool everywhere) => everywhere ? Everywhere : HereAlone;

    /// <summary>What came of a change.</summary>
    /// <param name="Refusal">Why it was not made; null when it was, or when nothing had to be.</param>
    /// <param name="Everywhere">Whether every instance knows.</param>
    internal readonly record struct Made(AdminReply? Refusal, bool Everywhere);
}
