namespace Roadbalancer.Strategies;

/// <summary>Chooses one of several backends that could all take the request. Arithmetic only: no clock, randomness, I/O or fields.</summary>
internal interface IStrategy
{
    /// <summary>The configuration name, and the name of its twin script.</summary>
    string Name { get; }

    /// <summary>
    /// True when the store keeps a smooth balance for each backend (<see cref="Candidate.Balance"/>): after a pick every candidate
    /// gains its weight and the picked one loses the sum of them all.
    /// </summary>
    bool KeepsBalance => false;

    /// <summary>The position in <paramref name="candidates"/> of the one to use.</summary>
    /// <param name="candidates">Never empty; in the pool's order; all healthy, below their limit, untried and of the same priority.</param>
    int Pick(ReadOnlySpan<Candidate> candidates, in PickInput input);
}

/// <summary>What a strategy may know of a backend.</summary>
internal struct Candidate
{
    /// <summary>Position in <see cref="Backends.Pool.Backends"/>.</summary>
    public int Index;

    /// <summary>Configured weight, 1 or more.</summary>
    public int Weight;

    /// <summary>Requests in flight, over all instances.</summary>
    public int InFlight;

    /// <summary>
    /// Load that recent failures stand for, in requests: each failure counts like a request in flight and fades with
    /// <see cref="PickInput.FadeMs"/>, so that a backend that fails fast does not look idle.
    /// </summary>
    public double FailureLoad;

    /// <summary>Smooth weighted round robin's running balance.</summary>
    public long Balance;

    /// <summary>Peak-sensitive moving average of latency in milliseconds as of <see cref="LatencyAtMs"/>; 0 without samples.</summary>
    public double LatencyMs;

    /// <summary>When <see cref="LatencyMs"/> was last updated, on the store's clock.</summary>
    public long LatencyAtMs;
}

/// <summary>What a strategy may know of the moment.</summary>
internal readonly struct PickInput
{
    /// <summary>Time constant with which latency averages and failure load fade, in milliseconds.</summary>
    public const double FadeMs = 10_000;

    /// <summary>The pool's turn: a counter that the store advances with each pick.</summary>
    public long Turn { get; init; }

    /// <summary>The store's clock in milliseconds.</summary>
    public long NowMs { get; init; }

    /// <summary>Uniform in [0, 1).</summary>
    public double Roll1 { get; init; }

    /// <summary>Uniform in [0, 1), independent of <see cref="Roll1"/>.</summary>
    public double Roll2 { get; init; }

    /// <summary>What the request wants to be near to: a hash of its session or prompt.</summary>
    public ulong AffinityKey { get; init; }

    /// <summary>The pool's hash ring; empty unless the strategy is <c>consistent_hash</c>.</summary>
    public Ring Ring { get; init; }
}
