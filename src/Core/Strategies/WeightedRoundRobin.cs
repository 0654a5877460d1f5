namespace Roadbalancer.Strategies;

/// <summary>
/// Each in proportion to its weight, evenly interleaved: 5:1:1 gives A A B A C A A. This is nginx's smooth weighted round robin
/// (<c>ngx_http_upstream_get_peer</c>): every candidate gains its weight, the richest is picked and pays for all.
/// </summary>
internal sealed class WeightedRoundRobin : IStrategy
{
    public string Name => "weighted_round_robin";

    public bool KeepsBalance => true;

    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input)
    {
        var best = 0;
        var bestBalance = long.MinValue;
        for (var i = 0; i < candidates.Length; i++)
        {
            ref readonly var candidate = ref candidates[i];
            var balance = candidate.Balance + candidate.Weight;
            if (balance > bestBalance)
            {
                best = i;
                bestBalance = balance;
            }
        }

        return best;
    }
}
