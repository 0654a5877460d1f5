using System.Collections.Immutable;

namespace Roadbalancer.Telemetry;

/// <summary>What the values of a metric are.</summary>
internal enum MetricKind
{
    /// <summary>A sum that only grows.</summary>
    Counter,

    /// <summary>A value of this moment.</summary>
    Gauge,

    /// <summary>How values are distributed over fixed buckets.</summary>
    Histogram,
}

/// <summary>
/// One metric: a row of <c>docs/metrics.md</c>, an instrument of the meter and a family of <c>GET /metrics</c>. It holds its own numbers, so that
/// recording is an addition and costs the same whether anybody listens or not.
/// </summary>
internal abstract class Metric(MetricKind kind, string name, string unit, string description, ImmutableArray<string> tags)
{
    public MetricKind Kind { get; } = kind;

    /// <summary>As OpenTelemetry writes it, with dots.</summary>
    public string Name { get; } = name;

    /// <summary>In UCUM, as OpenTelemetry wants it: <c>s</c>, <c>By</c>, or an annotation in braces.</summary>
    public string Unit { get; } = unit;

    public string Description { get; } = description;

    /// <summary>Names of what tells its series apart.</summary>
    public ImmutableArray<string> Tags { get; } = tags;

    /// <summary>Writes every series; nothing where there is none.</summary>
    public abstract void WriteTo(Exposition exposition);

    /// <summary>Tags as listeners get them, made once; a tag without a value is left out.</summary>
    protected KeyValuePair<string, object?>[] Pair(ReadOnlySpan<string> values)
    {
        var pairs = new List<KeyValuePair<string, object?>>(values.Length);
        for (var tag = 0; tag < values.Length; tag++)
        {
            if (values[tag].Length > 0)
            {
                pairs.Add(new(Tags[tag], values[tag]));
            }
        }

        return [.. pairs];
    }
}

/// <summary>A metric whose series are made when they are first asked for, and kept until <see cref="Drop"/>.</summary>
/// <typeparam name="T">What holds one series' numbers.</typeparam>
internal abstract class SeriesMetric<T>(MetricKind kind, string name, string unit, string description, ImmutableArray<string> tags)
    : Metric(kind, name, unit, description, tags)
    where T : class
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);
    private ImmutableList<Series> _series = [];

    /// <summary>Every series there is, in the order of their making.</summary>
    protected ImmutableList<Series> All => Volatile.Read(ref _series);

    /// <summary>The series with these values of <see cref="Metric.Tags"/>. To be kept by whoever records often: finding it takes a lock.</summary>
    public T With(params ReadOnlySpan<string> values)
    {
        var key = string.Join('\u001f', values);
        lock (_lock)
        {
            if (_index.TryGetValue(key, out var at))
            {
                return _series[at].Numbers;
            }

            var series = new Series(values.ToArray(), Make(Pair(values)));
            _index.Add(key, _series.Count);
            _series = _series.Add(series);
            return series.Numbers;
        }
    }

    /// <summary>Forgets the series whose <paramref name="tag"/> has a value that <paramref name="isGone"/> names.</summary>
    public void Drop(string tag, Predicate<string> isGone)
    {
        var position = Tags.IndexOf(tag);
        lock (_lock)
        {
            _series = _series.RemoveAll(series => position >= 0 && isGone(series.Values[position]));
            _index.Clear();
            for (var at = 0; at < _series.Count; at++)
            {
                _index.Add(string.Join('\u001f', _series[at].Values), at);
            }
        }
    }

    protected abstract T Make(KeyValuePair<string, object?>[] pairs);

    /// <param name="Values">Of the tags, in their order; empty for none.</param>
    /// <param name="Numbers">What was recorded.</param>
    protected sealed record Series(string[] Values, T Numbers);
}
