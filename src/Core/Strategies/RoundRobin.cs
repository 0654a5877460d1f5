namespace Roadbalancer.Strategies;

/// <summary>Each in turn.</summary>
internal sealed class RoundRobin : IStrategy
{
    public string Name => "round_robin";

    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input) => (int)(input.Turn % candidates.Length);
}
