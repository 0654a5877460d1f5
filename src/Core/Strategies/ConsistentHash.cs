namespace Roadbalancer.Strategies;

internal sealed class ConsistentHash : IStrategy
{
    public string Name => "consistent_hash";

    public int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input) => 0;
}
