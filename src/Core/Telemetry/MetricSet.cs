using System.Collections.Immutable;
using System.Diagnostics.Metrics;

namespace Roadbalancer.Telemetry;

/// <summary>Every metric of one balancer, each an instrument of <paramref name="meter"/>.</summary>
internal sealed class MetricSet(Meter meter)
{
    private ImmutableArray<Metric> _all = [];

    /// <summary>In the order of their making.</summary>
    public ImmutableArray<Metric> All => _all;

    public CounterMetric Counter(string name, string unit, string description, params ReadOnlySpan<string> tags) =>
        Add(new CounterMetric(meter, name, unit, description, [.. tags]));

    public HistogramMetric Histogram(string name, string unit, string description, ImmutableArray<double> bounds, params ReadOnlySpan<string> tags) =>
        Add(new HistogramMetric(meter, name, unit, description, bounds, [.. tags]));

    /// <param name="read">Gives every series' value at the moment; called by any thread.</param>
    public void Gauge(string name, string unit, string description, Func<IEnumerable<Reading>> read, params ReadOnlySpan<string> tags) =>
        Add(new ReadMetric(meter, MetricKind.Gauge, name, unit, description, [.. tags], read));

    /// <summary>A sum that somebody else keeps.</summary>
    /// <param name="read">As for <see cref="Gauge"/>.</param>
    public void Counter(string name, string unit, string description, Func<IEnumerable<Reading>> read, params ReadOnlySpan<string> tags) =>
        Add(new ReadMetric(meter, MetricKind.Counter, name, unit, description, [.. tags], read));

    private T Add<T>(T metric)
        where T : Metric
    {
        ImmutableInterlocked.Update(ref _all, static (all, added) => all.Add(added), metric);
        return metric;
    }
}
