using System.Collections.Immutable;

namespace Roadbalancer.Admin;

/// <summary>One route under the API's prefix.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">The path behind the prefix; <c>{name}</c> stands for one segment.</param>
/// <param name="AnswerAsync">Answers; null when it has written the answer itself.</param>
internal sealed record AdminRoute(string Method, string Path, Func<AdminCall, ValueTask<AdminReply?>> AnswerAsync)
{
    private readonly string[] _segments = Path.Split('/');

    /// <summary>What stands for <c>{name}</c> (empty for a route without it); null when <paramref name="segments"/> are of another path.</summary>
    public string? Match(string[] segments)
    {
        if (segments.Length != _segments.Length)
        {
            return null;
        }

        var name = "";
        for (var i = 0; i < segments.Length; i++)
        {
            if (_segments[i] == "{name}")
            {
                name = segments[i];
            }
            else if (!segments[i].Equals(_segments[i], StringComparison.OrdinalIgnoreCase))
            {
                return null;
            }
        }

        return name;
    }
}

/// <summary>Every route of the management API; <c>openapi.json</c> describes each, which a test checks.</summary>
internal sealed class AdminRoutes(
    ReportRoutes reports, HistoryRoutes history, BackendRoutes backends, ActionRoutes actions, SettingRoutes settings, KeyRoutes keys, EventRoute events)
{
    public ImmutableArray<AdminRoute> Table { get; } =
    [
        new("GET", "/status", reports.StatusAsync),
        new("GET", "/metrics", reports.MetricsAsync),
        new("GET", "/history", history.ReadAsync),
        new("GET", "/events", events.StreamAsync),
        new("GET", "/backends", backends.ListAsync),
        new("POST", "/backends", backends.AddAsync),
        new("GET", "/backends/{name}", backends.GetAsync),
        new("PATCH", "/backends/{name}", backends.ChangeAsync),
        new("DELETE", "/backends/{name}", backends.RemoveAsync),
        new("POST", "/backends/{name}/enable", backends.EnableAsync),
        new("POST", "/backends/{name}/disable", backends.DisableAsync),
        new("POST", "/backends/{name}/drain", backends.DrainAsync),
        new("POST", "/backends/{name}/restore", backends.RestoreAsync),
        new("POST", "/backends/{name}/health_check", actions.ProbeAsync),
        new("POST", "/backends/{name}/reset", actions.ResetAsync),
        new("GET", "/strategy", settings.GetAsync),
        new("PUT", "/strategy", settings.PutAsync),
        new("GET", "/keys", keys.ListAsync),
        new("POST", "/keys", keys.AddAsync),
        new("PATCH", "/keys/{name}", keys.ChangeAsync),
        new("DELETE", "/keys/{name}", keys.RemoveAsync),
        new("POST", "/health_check/start", settings.StartAsync),
        new("POST", "/health_check/stop", settings.StopAsync),
    ];
}
