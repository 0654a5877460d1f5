namespace Roadbalancer.Strategies;

/// <summary>The faster of two drawn by lot: latency times load, for its weight ("power of two choices" over a peak-sensitive average).</summary>
internal sealed class ResponseTime : IStrategy
{
    /// <summary>The latency that a backend without samples is taken to have while its first answer is awaited: it is tried, not flooded.</summary>
    private const double UnknownLatencyMs = 10_000;

    public string Name => "response_time";

    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input)
    {
        if (candidates.Length == 1)
        {
            return 0;
        }

        var first = (int)(input.Roll1 * candidates.Length);
        var second = (int)(input.Roll2 * (candidates.Length - 1));
        second += second >= first ? 1 : 0;
        return Cost(candidates[second], input.NowMs) < Cost(candidates[first], input.NowMs) ? second : first;
    }

    private static double Cost(in Candidate candidate, long nowMs)
    {
        if (candidate.LatencyMs == 0 && candidate.InFlight == 0)
        {
            return 0;
        }

        var latencyMs = candidate.LatencyMs == 0 ? UnknownLatencyMs
            : Fading.At(candidate.LatencyMs, candidate.LatencyAtMs, nowMs);
        return latencyMs * (candidate.InFlight + 1 + candidate.FailureLoad) / candidate.Weight;
    }
}
