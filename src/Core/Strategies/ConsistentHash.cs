namespace Roadbalancer.Strategies;

/// <summary>
/// The same key to the same backend, with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): the ring is walked from the key
/// until a backend is found that one more request does not take above 1.25 of its share.
/// </summary>
internal sealed class ConsistentHash : IStrategy
{
    private const double Bound = 1.25;

    public string Name => "consistent_hash";

    /// <remarks>The shares add up to more than all requests, so some candidate is always within its own.</remarks>
    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input)
    {
        long load = 1, weights = 0;
        foreach (ref readonly var candidate in candidates)
        {
            load += candidate.InFlight;
            weights += candidate.Weight;
        }

        var first = -1;
        var start = input.Ring.Start(input.AffinityKey);
        for (var step = 0; step < input.Ring.Points; step++)
        {
            var i = input.Ring.Find(candidates, start + step);
            if (i >= 0 && candidates[i].InFlight + 1 <= Math.Ceiling(Bound * load * candidates[i].Weight / weights))
            {
                return i;
            }

            first = first < 0 ? i : first;
        }

        return Math.Max(first, 0);
    }
}
