using System.Buffers;
using System.Globalization;
using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>
/// Writes metrics as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0. Names are OpenTelemetry's, turned as its
/// «Prometheus and OpenMetrics compatibility» says: dots to underscores, the unit as a word at the end, <c>_total</c> for counters.
/// </summary>
internal sealed class Exposition(bool isOpenMetrics) : IDisposable
{
    private readonly PooledBytes _output = new();
    private readonly StringBuilder _line = new(256);
    private Metric? _family;
    private string _name = "";

    /// <summary>All of it, valid until the exposition is disposed.</summary>
    public ReadOnlyMemory<byte> Written => _output.Memory;

    public string ContentType => isOpenMetrics
        ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
        : "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>The family's name: without <c>_total</c>, which is a sample's.</summary>
    public static string NameOf(Metric metric) => metric.Name.Replace('.', '_') + metric.Unit switch
    {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };

    public static Exposition Of(IEnumerable<Metric> metrics, bool isOpenMetrics)
    {
        var exposition = new Exposition(isOpenMetrics);
        foreach (var metric in metrics)
        {
            metric.WriteTo(exposition);
        }

        if (isOpenMetrics)
        {
            exposition._output.Write("# EOF\n"u8);
        }

        return exposition;
    }

    /// <summary>One series of a counter or a gauge.</summary>
    public void Sample(Metric metric, ReadOnlySpan<string> values, double value)
    {
        Begin(metric);
        WriteSample(metric.Kind == MetricKind.Counter ? "_total" : "", metric, values, bound: null, value);
    }

    /// <summary>One series of a histogram.</summary>
    public void Sample(HistogramMetric metric, ReadOnlySpan<string> values, Distribution distribution)
    {
        Begin(metric);
        long upTo = 0;
        for (var bucket = 0; bucket <= metric.Bounds.Length; bucket++)
        {
            upTo += distribution.CountIn(bucket);
            WriteSample("_bucket", metric, values, bucket < metric.Bounds.Length ? metric.Bounds[bucket] : double.PositiveInfinity, upTo);
        }

        WriteSample("_sum", metric, values, bound: null, distribution.Sum);
        WriteSample("_count", metric, values, bound: null, upTo);
    }

    public void Dispose() => _output.Dispose();

    /// <summary>The head of a family, before its first sample.</summary>
    private void Begin(Metric metric)
    {
        if (ReferenceEquals(metric, _family))
        {
            return;
        }

        _family = metric;
        _name = NameOf(metric);
        var headed = metric.Kind == MetricKind.Counter && !isOpenMetrics ? _name + "_total" : _name;
        _line.Append("# TYPE ").Append(headed).Append(' ').Append(metric.Kind switch
        {
            MetricKind.Counter => "counter",
            MetricKind.Histogram => "histogram",
            _ => "gauge",
        }).Append('\n');
        if (isOpenMetrics && metric.Unit is "s" or "By")
        {
            _line.Append("# UNIT ").Append(headed).Append(' ').Append(metric.Unit == "s" ? "seconds" : "bytes").Append('\n');
        }

        _line.Append("# HELP ").Append(headed).Append(' ');
        Escape(metric.Description, quotes: isOpenMetrics);
        _line.Append('\n');
        EndLine();
    }

    private void WriteSample(string suffix, Metric metric, ReadOnlySpan<string> values, double? bound, double value)
    {
        _line.Append(_name).Append(suffix);
        var opened = false;
        for (var tag = 0; tag < values.Length; tag++)
        {
            // A label without a value and no label are the same to Prometheus.
            if (values[tag].Length > 0)
            {
                _line.Append(opened ? ',' : '{');
                opened = true;
                foreach (var letter in metric.Tags[tag])
                {
                    _line.Append(letter == '.' ? '_' : letter);
                }

                _line.Append("=\"");
                Escape(values[tag], quotes: true);
                _line.Append('"');
            }
        }

        if (bound is { } upper)
        {
            _line.Append(opened ? ',' : '{').Append("le=\"");
            opened = true;
            AppendNumber(upper, alwaysFraction: true);
            _line.Append('"');
        }

        _line.Append(opened ? "} " : " ");
        AppendNumber(value, alwaysFraction: false);
        _line.Append('\n');
        EndLine();
    }

    private void AppendNumber(double value, bool alwaysFraction)
    {
        if (double.IsPositiveInfinity(value))
        {
            _line.Append("+Inf");
            return;
        }

        // OpenMetrics wants a bucket's bound in one canonical form, 1.0 and not 1; the same in both formats keeps series the same.
        _line.Append(CultureInfo.InvariantCulture, $"{value}").Append(alwaysFraction && double.IsInteger(value) && Math.Abs(value) < 1e15 ? ".0" : "");
    }

    private void Escape(string text, bool quotes)
    {
        foreach (var letter in text)
        {
            _ = letter switch
            {
                '\\' => _line.Append(@"\\"),
                '\n' => _line.Append(@"\n"),
                '"' when quotes => _line.Append("\\\""),
                _ => _line.Append(letter),
            };
        }
    }

    private void EndLine()
    {
        Encoding.UTF8.GetBytes(_line.ToString(), _output);
        _line.Clear();
    }
}
