namespace Roadbalancer.Bench;

/// <summary>How much is measured.</summary>
/// <param name="Connections">wrk's connections, one measurement each.</param>
/// <param name="Rounds">How often each is repeated; the subjects alternate within a round.</param>
/// <param name="RequestSeconds">Length of one measurement of requests.</param>
/// <param name="WarmUpSeconds">Load before the first round, at most: until the runtimes have compiled what they will run.</param>
/// <param name="StreamRounds">How often streams are measured.</param>
/// <param name="StreamSeconds">Length of one measurement of streams.</param>
/// <param name="Starts">How often each subject is started to time it.</param>
internal sealed record BenchPlan(
    string Name, int[] Connections, int Rounds, int RequestSeconds, int WarmUpSeconds, int StreamRounds, int StreamSeconds, int Starts)
{
    /// <summary>Streams at the same time, with <see cref="ChunkGap"/> between their chunks.</summary>
    public const int Streams = 500;

    /// <summary>Streams held open to see what each takes of memory.</summary>
    public const int OpenStreams = 2000;

    public static readonly TimeSpan ChunkGap = TimeSpan.FromMilliseconds(20);

    public static BenchPlan Quick { get; } = new("quick", [64], Rounds: 3, RequestSeconds: 1, WarmUpSeconds: 4, StreamRounds: 1, StreamSeconds: 3, Starts: 1);

    /// <summary>Requests alone, for a change under way: many short rounds.</summary>
    public static BenchPlan Requests { get; } = new("requests", [32], Rounds: 9, RequestSeconds: 1, WarmUpSeconds: 30, StreamRounds: 0, StreamSeconds: 0, Starts: 0);

    /// <summary>Streams alone.</summary>
    public static BenchPlan StreamsOnly { get; } = new("streams", [], Rounds: 0, RequestSeconds: 0, WarmUpSeconds: 3, StreamRounds: 3, StreamSeconds: 3, Starts: 0);

    public static BenchPlan? Named(string name) => new[] { Quick, Full, Requests, StreamsOnly }.FirstOrDefault(plan => plan.Name == name);

    public static BenchPlan Full { get; } = new("full", [1, 16, 64, 256], Rounds: 5, RequestSeconds: 3, WarmUpSeconds: 60, StreamRounds: 3, StreamSeconds: 6, Starts: 5);
}
