namespace Roadbalancer.Bench;

/// <summary>What repeated measurements say: the middle one and how far they lie apart.</summary>
internal readonly record struct Spread(double Median, double Min, double Max, int Count)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? default : new(sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2, sorted[0], sorted[^1], sorted.Length);
    }
}
