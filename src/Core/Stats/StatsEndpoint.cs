using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Stats;

/// <summary>
/// <c>GET /stats</c>: what has been counted, in the flat form that users of the client module know, with each backend's counters beside it.
/// For those who hold a client key; without client keys, for callers on this machine.
/// </summary>
internal sealed class StatsEndpoint(PoolSource pools, IBalancerState state)
{
    public async Task HandleAsync(HttpContext http)
    {
        var pool = pools.Current;
        if (Refuse(http, new KeyRing(pool.Options.ClientKeys)) is { } refusal)
        {
            await refusal.WriteAsync(http, RequestIds.For(http));
            return;
        }

        var snapshot = await state.ReadAsync(pool.Name, http.RequestAborted);
        var body = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(body))
        {
            Write(json, pool, snapshot);
        }

        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.WrittenCount;
        await http.Response.Body.WriteAsync(body.WrittenMemory, http.RequestAborted);
    }

    private static ErrorAnswer? Refuse(HttpContext http, KeyRing keys) =>
        !keys.IsOpen && keys.Find(http.Request) is null
            ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key", "Incorrect or missing API key.")
        : keys.IsOpen && http.Connection.RemoteIpAddress is { } caller && !IPAddress.IsLoopback(caller)
            ? new(StatusCodes.Status403Forbidden, "invalid_request_error", "no_keys_configured",
                "Statistics are told on this machine only until ROADBALANCER_API_KEYS is set.")
        : null;

    private static void Write(Utf8JsonWriter json, Pool pool, PoolSnapshot snapshot)
    {
        var obstacles = Eligibility.Explain(new AcquireRequest { Pool = pool }, snapshot);
        var backends = pool.Backends.Select((backend, index) => snapshot.For(backend.Name, index)).ToArray();
        var successes = backends.Sum(backend => backend.Totals.Successes);
        var failures = backends.Sum(backend => backend.Totals.Failures);
        json.WriteStartObject();
        json.WriteString("strategy", pool.Strategy.Name);
        json.WriteNumber("total_endpoints", backends.Length);
        json.WriteNumber("healthy_endpoints", obstacles.Count(IsHealthy));
        json.WriteNumber("total_requests", backends.Sum(backend => backend.Totals.Requests));
        json.WriteNumber("total_success", successes);
        json.WriteNumber("total_failures", failures);
        json.WriteString("success_rate", RateOf(successes, failures));
        json.WriteStartArray("endpoints");
        for (var index = 0; index < backends.Length; index++)
        {
            Write(json, pool.Backends[index], obstacles[index], backends[index]);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Backend backend, Obstacle obstacle, BackendSnapshot snapshot)
    {
        var (vitals, totals) = (snapshot.Vitals, snapshot.Totals);
        json.WriteStartObject();
        json.WriteString("name", backend.Name);
        json.WriteString("url", backend.BaseUrl.GetLeftPart(UriPartial.Path));
        json.WriteBoolean("healthy", IsHealthy(obstacle));
        json.WriteString("status", StatusOf(obstacle, vitals));
        json.WriteNumber("weight", backend.Weight);
        json.WriteNumber("priority", backend.Priority);
        json.WriteNumber("active_connections", vitals.InFlight);
        json.WriteNumber("max_connections", backend.MaxConnections);
        json.WriteNumber("total_requests", totals.Requests);
        json.WriteNumber("total_success", totals.Successes);
        json.WriteNumber("total_failures", totals.Failures);
        json.WriteString("success_rate", RateOf(totals.Successes, totals.Failures));
        json.WriteNumber("consecutive_failures", vitals.ConsecutiveFailures);
        json.WriteStartObject("outcomes");
        for (var kind = 0; kind < totals.ByKind.Length; kind++)
        {
            if (totals.ByKind[kind] > 0)
            {
                json.WriteNumber(Trail.NameOf((OutcomeKind)kind), totals.ByKind[kind]);
            }
        }

        json.WriteEndObject();
        Write(json, "response_time_ms", totals.Duration);
        Write(json, "time_to_first_token_ms", totals.FirstToken);
        json.WriteNumber("input_tokens", totals.InputTokens);
        json.WriteNumber("output_tokens", totals.OutputTokens);
        json.WriteString("last_error", totals.LastError);
        WriteTime(json, "last_error_time", totals.LastErrorAtUnixMs);
        WriteTime(json, "last_check_time", totals.LastCheckAtUnixMs);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, Histogram histogram)
    {
        json.WriteStartObject(name);
        json.WriteNumber("count", histogram.Count);
        json.WriteNumber("mean", Math.Round(histogram.MeanMs, 1));
        json.WriteNumber("p50", Math.Round(histogram.Percentile(0.5), 1));
        json.WriteNumber("p95", Math.Round(histogram.Percentile(0.95), 1));
        json.WriteNumber("p99", Math.Round(histogram.Percentile(0.99), 1));
        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, string name, long unixMs)
    {
        if (unixMs == 0)
        {
            json.WriteNull(name);
        }
        else
        {
            json.WriteString(name, DateTimeOffset.FromUnixTimeMilliseconds(unixMs));
        }
    }

    private static bool IsHealthy(Obstacle obstacle) => obstacle is Obstacle.None or Obstacle.SlowStart or Obstacle.Full or Obstacle.Parked or Obstacle.Drained;

    private static string StatusOf(Obstacle obstacle, Vitals vitals) => obstacle switch
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
