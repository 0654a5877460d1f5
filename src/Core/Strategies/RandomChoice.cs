namespace Roadbalancer.Strategies;

/// <summary>By lot, each with a chance proportional to its weight.</summary>
internal sealed class RandomChoice : IStrategy
{
    public string Name => "random";

    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input)
    {
        long total = 0;
        foreach (ref readonly var candidate in candidates)
        {
            total += candidate.Weight;
        }

        var mark = (long)(input.Roll1 * total);
        for (var i = 0; i < candidates.Length - 1; i++)
        {
            mark -= candidates[i].Weight;
            if (mark < 0)
            {
                return i;
            }
        }

        return candidates.Length - 1;
    }
}
