using System.Collections.Immutable;
using System.Diagnostics.Metrics;

namespace Roadbalancer.Telemetry;

/// <summary>
/// Counts of values in fixed buckets. Safe for concurrent use; a reader may see a value in its bucket before it is in the sum, which a scrape
/// cannot tell from a value that came a moment later.
/// </summary>
internal sealed class Distribution(ImmutableArray<double> bounds, Histogram<double> instrument, KeyValuePair<string, object?>[] pairs)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public double Sum => Volatile.Read(ref _sum);

    /// <summary>How many values lie in <paramref name="bucket"/>, those of the buckets before it not included.</summary>
    public long CountIn(int bucket) => Volatile.Read(ref _counts[bucket]);

    public void Record(double value)
    {
        var bucket = 0;
        while (bucket < bounds.Length && value > bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _counts[bucket]);
        double before, seen = Volatile.Read(ref _sum);
        do
        {
            before = seen;
            seen = Interlocked.CompareExchange(ref _sum, before + value, before);
        }
        while (seen != before);

        if (instrument.Enabled)
        {
            instrument.Record(value, pairs);
        }
    }
}

/// <summary>Distributions over the buckets that OpenTelemetry advises for the metric.</summary>
internal sealed class HistogramMetric : SeriesMetric<Distribution>
{
    private readonly Histogram<double> _instrument;

    public HistogramMetric(Meter meter, string name, string unit, string description, ImmutableArray<double> bounds, ImmutableArray<string> tags)
        : base(MetricKind.Histogram, name, unit, description, tags)
    {
        Bounds = bounds;
        _instrument = meter.CreateHistogram(name, unit, description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });
    }

    /// <summary>Upper bounds of the buckets but the last, rising; each bound belongs to its bucket.</summary>
    public ImmutableArray<double> Bounds { get; }

    public override void WriteTo(Exposition exposition)
    {
        foreach (var series in All)
        {
            exposition.Sample(this, series.Values, series.Numbers);
        }
    }

    protected override Distribution Make(KeyValuePair<string, object?>[] pairs) => new(Bounds, _instrument, pairs);
}
