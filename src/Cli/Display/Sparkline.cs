namespace Roadbalancer.Cli.Display;

/// <summary>Numbers over time in one line of text.</summary>
internal static class Sparkline
{
    private const string Bars = "▁▂▃▄▅▆▇█";

    /// <summary>Draws <paramref name="values"/> in at most <paramref name="width"/> characters, neighbours added up where there are more; 0 is a blank, the greatest a full bar.</summary>
    public static string Draw(IReadOnlyList<double> values, int width)
    {
        var each = Math.Max(1, (values.Count + width - 1) / Math.Max(1, width));
        var sums = values.Chunk(each).Select(chunk => chunk.Sum()).ToList();
        var most = sums.DefaultIfEmpty().Max();
        return string.Concat(sums.Select(sum => sum <= 0 ? ' ' : Bars[Math.Clamp((int)Math.Ceiling(sum / most * Bars.Length) - 1, 0, Bars.Length - 1)]));
    }
}
