using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;

namespace Roadbalancer.Telemetry;

/// <summary>
/// <c>GET /metrics</c>: every row of <c>docs/metrics.md</c>, for Prometheus; OpenMetrics 1.0 for those whose <c>Accept</c> prefers it.
/// For those whom <see cref="ReadingRight"/> lets read.
/// </summary>
internal sealed class MetricsEndpoint
{
    private readonly PoolSource _pools;
    private readonly BalancerMetrics _metrics;
    private readonly BackendGauges _gauges;
    private readonly ReadingRight _right;

    /// <param name="pools">The pool in force.</param>
    /// <param name="metrics">What is told.</param>
    /// <param name="gauges">Renewed before it is told.</param>
    /// <param name="process">Told too; asked for so that it is there.</param>
    /// <param name="right">Who may read.</param>
    public MetricsEndpoint(PoolSource pools, BalancerMetrics metrics, BackendGauges gauges, ProcessMetrics process, ReadingRight right)
    {
        ArgumentNullException.ThrowIfNull(process);
        (_pools, _metrics, _gauges, _right) = (pools, metrics, gauges, right);
    }

    public async Task HandleAsync(HttpContext http)
    {
        var pool = _pools.Current;
        if (_right.Refuse(http, pool, out _) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        _metrics.Follow(pool);
        await _gauges.RenewAsync(http.RequestAborted);
        using var exposition = Exposition.Of(_metrics.All.All, PrefersOpenMetrics(http.Request.Headers.Accept));
        http.Response.ContentType = exposition.ContentType;
        http.Response.ContentLength = exposition.Written.Length;
        http.Response.Headers.Vary = HeaderNames.Accept;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync(exposition.Written, http.RequestAborted);
        }
    }

    /// <summary>Whether OpenMetrics is named, and not after plain text (RFC 9110 §12.5.1). A wildcard means plain text, which everybody reads.</summary>
    public static bool PrefersOpenMetrics(Microsoft.Extensions.Primitives.StringValues accept)
    {
        if (!MediaTypeHeaderValue.TryParseList([.. accept.OfType<string>()], out var types))
        {
            return false;
        }

        double open = 0, plain = 0;
        foreach (var type in types)
        {
            if (type.MediaType.Equals("application/openmetrics-text", StringComparison.OrdinalIgnoreCase) && VersionOf(type) is null or "1.0.0")
            {
                open = Math.Max(open, type.Quality ?? 1);
            }
            else if (type.MediaType.Equals("text/plain", StringComparison.OrdinalIgnoreCase))
            {
                plain = Math.Max(plain, type.Quality ?? 1);
            }
        }

        return open > 0 && open >= plain;
    }

    private static string? VersionOf(MediaTypeHeaderValue type) =>
        type.Parameters.FirstOrDefault(parameter => parameter.Name.Equals("version", StringComparison.OrdinalIgnoreCase))?.Value.ToString().Trim('"');
}
