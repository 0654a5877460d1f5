namespace Roadbalancer.Strategies;

/// <summary>The least load for its weight; among equals, each in turn.</summary>
internal sealed class LeastConnections : IStrategy
{
    public string Name => "least_connections";

    /// <remarks>Fractions are compared by cross-multiplication: exact as long as no failure load is in play, so equals are equal.</remarks>
    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input)
    {
        var best = 0;
        var ties = 1;
        for (var i = 1; i < candidates.Length; i++)
        {
            var order = Compare(candidates[i], candidates[best]);
            ties = order < 0 ? 1 : order == 0 ? ties + 1 : ties;
            best = order < 0 ? i : best;
        }

        var skip = ties == 1 ? 0 : input.Turn % ties;
        var picked = best;
        while (skip > 0)
        {
            picked++;
            skip -= Compare(candidates[picked], candidates[best]) == 0 ? 1 : 0;
        }

        return picked;
    }

    private static int Compare(in Candidate one, in Candidate other)
    {
        var mine = (one.InFlight + one.FailureLoad) * other.Weight;
        var others = (other.InFlight + other.FailureLoad) * one.Weight;
        return mine < others ? -1 : mine == others ? 0 : 1;
    }
}
