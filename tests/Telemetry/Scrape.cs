using System.Globalization;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

/// <summary>One reading of <c>/metrics</c>, and Prometheus's own tools to judge it by.</summary>
internal sealed partial class Scrape(string text)
{
    public string Text { get; } = text;

    public static async Task<Scrape> OfAsync(HttpClient http, string? accept = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        if (accept is not null)
        {
            request.Headers.Accept.Add(MediaTypeWithQualityHeaderValue.Parse(accept));
        }

        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        answer.EnsureSuccessStatusCode();
        return new(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>The value of the one series so written: <c>name{label="value",…}</c>; null for none.</summary>
    public double? this[string series] =>
        Text.Split('\n').FirstOrDefault(line => line.StartsWith(series + " ", StringComparison.Ordinal)) is { } line
            ? double.Parse(line[(series.Length + 1)..], CultureInfo.InvariantCulture)
            : null;

    /// <summary>Every value that <paramref name="label"/> has anywhere.</summary>
    public IReadOnlySet<string> ValuesOf(string label) =>
        Labels().Matches(Text).Where(match => match.Groups[1].Value == label).Select(match => match.Groups[2].Value).ToHashSet();

    /// <summary>What <c>promtool check metrics</c> says of the text format; empty when it finds nothing wrong.</summary>
    public async Task<string> CheckedByPrometheusAsync()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, Text, TestContext.Current.CancellationToken);
            await using var promtool = ChildProcess.Start("bash", ["-c", $"promtool check metrics < {file}"], Path.GetTempPath());
            var code = await promtool.ExitCodeAsync();
            return code == 0 ? promtool.Output : $"{code}: {promtool.Output}";
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>
    /// What Prometheus's reader of OpenMetrics says; null when it takes all of it. Its tool wants a time on every sample, which a scrape has not: it is added.
    /// </summary>
    public async Task<string?> ReadByPrometheusAsync()
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-openmetrics-");
        try
        {
            var dated = Text.Split('\n').Select(line => line.Length == 0 || line[0] == '#' ? line : line + " 1700000000");
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, "in"), string.Join('\n', dated), TestContext.Current.CancellationToken);
            await using var promtool = ChildProcess.Start("promtool", ["tsdb", "create-blocks-from", "openmetrics", "in", "out"], folder.FullName);
            return await promtool.ExitCodeAsync() == 0 ? null : promtool.Output;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [GeneratedRegex("""([a-z_]+)="((?:[^"\\]|\\.)*)["]""")]
    private static partial Regex Labels();
}
