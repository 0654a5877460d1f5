using System.Collections.Immutable;
using System.Diagnostics.Metrics;

namespace Roadbalancer.Telemetry;

/// <summary>A sum since the process began. Safe for concurrent use.</summary>
internal sealed class Count(KeyValuePair<string, object?>[] pairs)
{
    private long _value;

    public long Value => Volatile.Read(ref _value);

    /// <summary>As a listener gets it.</summary>
    public Measurement<long> Measured => new(Value, pairs);

    /// <param name="by">0 or more.</param>
    public void Add(long by = 1) => Interlocked.Add(ref _value, by);
}

/// <summary>Sums of whole numbers; listeners read them when they collect.</summary>
internal sealed class CounterMetric : SeriesMetric<Count>
{
    public CounterMetric(Meter meter, string name, string unit, string description, ImmutableArray<string> tags)
        : base(MetricKind.Counter, name, unit, description, tags) =>
        meter.CreateObservableCounter(name, () => All.Select(series => series.Numbers.Measured), unit, description);

    public override void WriteTo(Exposition exposition)
    {
        foreach (var series in All)
        {
            exposition.Sample(this, series.Values, series.Numbers.Value);
        }
    }

    protected override Count Make(KeyValuePair<string, object?>[] pairs) => new(pairs);
}
