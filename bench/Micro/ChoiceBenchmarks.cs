using BenchmarkDotNet.Attributes;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Micro;

/// <summary>Taking a place and giving it back in memory, by each strategy over few and many backends.</summary>
public class ChoiceBenchmarks
{
    private static readonly AttemptOutcome Success = new(OutcomeKind.Succeeded) { Status = 200, DurationMs = 12 };

    private readonly InMemoryState _state = new(TimeProvider.System, new Chance(1));
    private readonly Chance _chance = new(2);
    private Pool? _pool;

    [Params(3, 30, 300)]
    public int Backends { get; set; }

    [ParamsSource(nameof(Names))]
    public string Strategy { get; set; } = "";

    public static IEnumerable<string> Names => ["round_robin", "weighted_round_robin", "least_connections", "random", "consistent_hash", "response_time"];

    [GlobalSetup]
    public void Prepare() => _pool = new Pool(
        new BalancerOptions
        {
            Strategy = Strategy,
            Backends = [.. Enumerable.Range(0, Backends).Select(index => new Backend { Name = $"b{index}", BaseUrl = new Uri($"http://b{index}/v1") })],
        },
        version: 1);

    [Benchmark]
    public async Task<bool> AcquireAndRelease()
    {
        var request = new AcquireRequest
        {
            Pool = _pool!,
            Model = "m",
            AffinityKey = _chance.NextBits(),
            Roll1 = _chance.NextDouble(),
            Roll2 = _chance.NextDouble(),
            SlowStartRoll = _chance.NextDouble(),
        };
        if (await _state.AcquireAsync(request, CancellationToken.None) is not { } lease)
        {
            return false;
        }

        await _state.ReleaseAsync(lease, Success);
        return true;
    }
}
