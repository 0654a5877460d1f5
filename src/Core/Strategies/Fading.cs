namespace Roadbalancer.Strategies;

/// <summary>How averages and failure load fade: by e in <see cref="PickInput.FadeMs"/>.</summary>
internal static class Fading
{
    /// <summary>After ten time constants (a share of 0.00005 is left) a value is 0: no exponential is computed for what is long over.</summary>
    private const double GoneMs = 10 * PickInput.FadeMs;

    /// <summary>The share of a value that is left after <paramref name="elapsedMs"/>; all of it when the clock has not moved on.</summary>
    public static double Share(long elapsedMs) =>
        elapsedMs <= 0 ? 1 : elapsedMs >= GoneMs ? 0 : Math.Exp(-elapsedMs / PickInput.FadeMs);

    /// <summary>What is left at <paramref name="nowMs"/> of <paramref name="value"/> as of <paramref name="atMs"/>.</summary>
    public static double At(double value, long atMs, long nowMs) => value == 0 ? 0 : value * Share(nowMs - atMs);
}
