using System.Collections.Immutable;
using System.Diagnostics.Metrics;

namespace Roadbalancer.Telemetry;

/// <summary>A value that somebody else keeps, read when it is asked for.</summary>
/// <param name="Value">In the metric's unit.</param>
/// <param name="Tags">Values of the metric's tags, in their order.</param>
internal readonly record struct Reading(double Value, params string[] Tags);

/// <summary>Readings of what is kept elsewhere: the state's snapshot, the queue, the process.</summary>
internal sealed class ReadMetric : Metric
{
    private readonly Func<IEnumerable<Reading>> _read;

    public ReadMetric(
        Meter meter, MetricKind kind, string name, string unit, string description, ImmutableArray<string> tags, Func<IEnumerable<Reading>> read)
        : base(kind, name, unit, description, tags)
    {
        _read = read;
        if (kind == MetricKind.Counter)
        {
            meter.CreateObservableCounter(name, Measure, unit, description);
        }
        else
        {
            meter.CreateObservableGauge(name, Measure, unit, description);
        }
    }

    public override void WriteTo(Exposition exposition)
    {
        foreach (var reading in _read())
        {
            exposition.Sample(this, reading.Tags, reading.Value);
        }
    }

    private IEnumerable<Measurement<double>> Measure() => _read().Select(reading => new Measurement<double>(reading.Value, Pair(reading.Tags)));
}
