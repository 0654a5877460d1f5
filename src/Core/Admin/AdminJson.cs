using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Stats;

namespace Roadbalancer.Admin;

/// <summary>The forms that values have in replies and events: times, durations, counters.</summary>
internal static class AdminJson
{
    /// <summary>JSON is sent as JSON and never as a page, so that quotes may stay readable.</summary>
    public static readonly JsonSerializerOptions Written = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Null for 0, which stands for «never».</summary>
    public static JsonNode? Time(long unixMs) => unixMs == 0 ? null : Time(DateTimeOffset.FromUnixTimeMilliseconds(unixMs));

    public static double Seconds(double milliseconds) => Math.Round(milliseconds / 1000, 4);

    /// <summary>Successes among both, rounded; null without any.</summary>
    public static JsonNode? Ratio(long successes, long failures) =>
        successes + failures == 0 ? null : Math.Round((double)successes / (successes + failures), 4);

    public static JsonArray List(IEnumerable<string> words) => [.. words.Select(word => (JsonNode)word)];

    /// <summary>Writes the counters that every statistic has, whatever time it is of.</summary>
    public static void Count(JsonObject into, BackendTotals totals)
    {
        into["total_requests"] = totals.Requests;
        into["successful_requests"] = totals.Successes;
        into["failed_requests"] = totals.Failures;
        into["success_rate"] = Ratio(totals.Successes, totals.Failures);
        into["average_response_time"] = Seconds(totals.Duration.MeanMs);
        into["percentiles"] = Percentiles([], totals.Duration);
        into["time_to_first_token"] = Percentiles(new() { ["count"] = totals.FirstToken.Count, ["mean"] = Seconds(totals.FirstToken.MeanMs) }, totals.FirstToken);
        into["input_tokens"] = totals.InputTokens;
        into["output_tokens"] = totals.OutputTokens;
        into["outcomes"] = Outcomes(totals);
    }

    private static JsonObject Percentiles(JsonObject into, Histogram histogram)
    {
        into["p50"] = Seconds(histogram.Percentile(0.5));
        into["p90"] = Seconds(histogram.Percentile(0.9));
        into["p95"] = Seconds(histogram.Percentile(0.95));
        into["p99"] = Seconds(histogram.Percentile(0.99));
        return into;
    }

    private static JsonObject Outcomes(BackendTotals totals)
    {
        var outcomes = new JsonObject();
        foreach (var (name, count) in StatsReport.OutcomesOf(totals))
        {
            outcomes[name] = count;
        }

        return outcomes;
    }
}
