using Roadbalancer.Proxy;
using Roadbalancer.Telemetry;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

/// <summary>The table in <c>docs/metrics.md</c> is what the program measures, row by row.</summary>
public sealed class MetricsDocumentTests
{
    [Fact]
    public async Task Table_EveryMetric_HasItsRowAndNoOthersAreThere()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        var expected = host.Service<BalancerMetrics>().All.All.Select(RowOf).Order(StringComparer.Ordinal).ToArray();

        var lines = await File.ReadAllLinesAsync(Repository.PathOf("docs", "metrics.md"), TestContext.Current.CancellationToken);
        var rows = lines.Where(line => line.StartsWith("| `", StringComparison.Ordinal) && line.Split('|').Length == 9)
            .Select(line => string.Join('|', line.Split('|')[1..^1].Select(cell => cell.Trim()).Where((_, cell) => cell != 5)));

        Assert.Equal(string.Join('\n', expected), string.Join('\n', rows.Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task Buckets_EveryHistogram_AreListed()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        var text = await File.ReadAllTextAsync(Repository.PathOf("docs", "metrics.md"), TestContext.Current.CancellationToken);

        Assert.All(host.Service<BalancerMetrics>().All.All.OfType<HistogramMetric>(), metric =>
            Assert.Contains(string.Join(", ", metric.Bounds), text, StringComparison.Ordinal));
    }

    private static string RowOf(Metric metric) => string.Join('|',
        $"`{metric.Name}`",
        $"`{Exposition.NameOf(metric)}{(metric.Kind == MetricKind.Counter ? "_total" : "")}`",
        metric.Kind.ToString().ToLowerInvariant(),
        metric.Unit,
        string.Join(", ", metric.Tags.Select(tag => $"`{tag}`")),
        metric.Description);
}
