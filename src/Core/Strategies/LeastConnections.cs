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
            var mine = Load(candidates[i]) * candidates[best].Weight;
            var least = Load(candidates[best]) * candidates[i].Weight;
            ties = mine < least ? 1 : mine == least ? ties + 1 : ties;
            best = mine < least ? i : best;
        }

        var skip = ties == 1 ? 0 : input.Turn % ties;
        for (var i = best; skip > 0 && ++i < candidates.Length;)
        {
            if (Load(candidates[i]) * candidates[best].Weight == Load(candidates[best]) * candidates[i].Weight && --skip == 0)
            {
                return i;
            }
        }

        return best;
    }

    private static double Load(in Candidate candidate) => candidate.InFlight + candidate.FailureLoad;
}
