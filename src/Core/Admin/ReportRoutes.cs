using System.Text.Json.Nodes;

namespace Roadbalancer.Admin;

/// <summary>What is told of the whole: status and metrics.</summary>
internal sealed class ReportRoutes(StandingReader reader, StatusView view, TimeProvider time)
{
    public async ValueTask<AdminReply?> StatusAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        return AdminReply.Data(view.Status(standing));
    }

    public async ValueTask<AdminReply?> MetricsAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        return AdminReply.Data(new JsonObject
        {
            ["backends"] = new JsonArray([.. standing.Pool.Backends.Select((_, index) => BackendView.Metrics(standing, index))]),
            ["time"] = AdminJson.Time(time.GetUtcNow()),
        });
    }
}
