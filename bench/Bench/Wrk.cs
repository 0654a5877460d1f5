using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Roadbalancer.Bench;

/// <summary>What one run of wrk measured.</summary>
/// <param name="Failures">Answers other than 2xx, and socket errors.</param>
internal sealed record WrkResult(long Requests, double PerSecond, double P50Us, double P99Us, long Failures);

/// <summary>Load by wrk: one thread, chat requests of about 200 bytes.</summary>
internal static partial class Wrk
{
    /// <param name="gapMs">What each connection waits between its requests, for a load below the most that goes.</param>
    public static async Task<WrkResult> RunAsync(string folder, int port, int connections, TimeSpan duration, int gapMs = 0)
    {
        var script = Path.Combine(folder, $"post-{gapMs}.lua");
        await File.WriteAllTextAsync(script, $$"""
            wrk.method = "POST"
            wrk.body = '{"model":"m","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say hello to the world."}],"max_tokens":16,"temperature":0.2}'
            wrk.headers["Content-Type"] = "application/json"
            wrk.headers["Authorization"] = "Bearer {{Subjects.ClientKey}}"
            {{(gapMs > 0 ? $"function delay() return {gapMs} end" : "")}}
            """);
        var start = new ProcessStartInfo("wrk",
            ["-t1", $"-c{connections}", $"-d{Math.Max(1, (int)duration.TotalSeconds)}s", "--latency", "-s", script, $"http://127.0.0.1:{port}/v1/chat/completions"])
        { RedirectStandardOutput = true };
        using var wrk = Process.Start(start)!;
        return Parse(await wrk.StandardOutput.ReadToEndAsync());
    }

    private static WrkResult Parse(string output)
    {
        if (!RequestsLine().IsMatch(output))
        {
            throw new InvalidOperationException($"wrk said: {output}");
        }

        var errors = ErrorsLine().Match(output) is { Success: true } match
            ? Enumerable.Range(1, 4).Sum(group => long.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture)) : 0;
        errors += BadLine().Match(output) is { Success: true } bad ? long.Parse(bad.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        return new(
            long.Parse(RequestsLine().Match(output).Groups[1].Value, CultureInfo.InvariantCulture),
            double.Parse(RateLine().Match(output).Groups[1].Value, CultureInfo.InvariantCulture),
            Us(P50Line().Match(output)), Us(P99Line().Match(output)), errors);
    }

    private static double Us(Match match) => double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
        * match.Groups[2].Value switch { "us" => 1, "ms" => 1e3, "s" => 1e6, _ => 60e6 };

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex RequestsLine();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex RateLine();

    [GeneratedRegex(@"50%\s+([\d.]+)(\w+)")]
    private static partial Regex P50Line();

    [GeneratedRegex(@"99%\s+([\d.]+)(\w+)")]
    private static partial Regex P99Line();

    [GeneratedRegex(@"connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex ErrorsLine();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex BadLine();
}
