using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Strategies;

public sealed class StrategyTests
{
    private const long NowMs = 1_000_000;

    [Theory]
    [InlineData("round_robin", "round_robin")]
    [InlineData("weighted", "weighted_round_robin")]
    [InlineData("weighted_round_robin", "weighted_round_robin")]
    [InlineData("least_conn", "least_connections")]
    [InlineData("LEAST_CONNECTIONS", "least_connections")]
    [InlineData("random", "random")]
    [InlineData("consistent_hash", "consistent_hash")]
    [InlineData("response_time", "response_time")]
    public void Get_NameOrAlias_FindsTheStrategy(string name, string expected) => Assert.Equal(expected, StrategyTable.Get(name).Name);

    [Fact]
    public void Get_UnknownName_Throws() => Assert.Throws<ArgumentException>(() => StrategyTable.Get("fastest"));

    [Fact]
    public void Pick_OneCandidate_IsPickedByEveryStrategy()
    {
        Candidate[] one = [new() { Index = 7, Weight = 3, InFlight = 2, LatencyMs = 5 }];
        Assert.All(StrategyTable.All, strategy => Assert.Equal(0, strategy.Pick(one, new PickInput { Turn = 9, Roll1 = 0.99, Roll2 = 0.99, Ring = Ring.Empty })));
    }

    [Theory]
    [InlineData("5 1 1", "AABACAA")]
    [InlineData("1 1 1", "ABCABC")]
    [InlineData("3 2 1", "ABACBA")]
    [InlineData("2 1", "ABAABA")]
    public void WeightedRoundRobin_Weights_GiveTheSmoothSequence(string weights, string expected)
    {
        var candidates = weights.Split(' ').Select((weight, index) => new Candidate { Index = index, Weight = int.Parse(weight, null) }).ToArray();
        var total = candidates.Sum(candidate => candidate.Weight);
        var sequence = "";
        for (var turn = 0; turn < expected.Length; turn++)
        {
            var picked = new WeightedRoundRobin().Pick(candidates, new PickInput { Turn = turn });
            for (var i = 0; i < candidates.Length; i++)
            {
                candidates[i].Balance += candidates[i].Weight - (i == picked ? total : 0);
            }

            sequence += (char)('A' + picked);
        }

        Assert.Equal(expected, sequence);
    }

    [Theory]
    [InlineData("3/1 2/1 4/1", 0, 1)] // in flight / weight of each; turn; picked
    [InlineData("2/1 2/1 2/1", 0, 0)]
    [InlineData("2/1 2/1 2/1", 1, 1)]
    [InlineData("2/1 2/1 2/1", 5, 2)]
    [InlineData("4/1 2/1 3/1 2/1", 0, 1)]
    [InlineData("4/1 2/1 3/1 2/1", 1, 3)]
    [InlineData("5/3 2/1", 0, 0)]
    [InlineData("6/3 2/1", 1, 1)]
    [InlineData("10/7 3/2 20/14", 1, 2)]
    public void LeastConnections_Loads_LeastForItsWeightInTurnAmongEquals(string loads, long turn, int expected)
    {
        var candidates = loads.Split(' ').Select(load => load.Split('/'))
            .Select((load, index) => new Candidate { Index = index, InFlight = int.Parse(load[0], null), Weight = int.Parse(load[1], null) }).ToArray();
        Assert.Equal(expected, new LeastConnections().Pick(candidates, new PickInput { Turn = turn }));
    }

    [Fact]
    public void LeastConnections_RecentFailures_CountAsLoad()
    {
        Candidate[] candidates = [new() { Weight = 1, FailureLoad = 2.5 }, new() { Index = 1, Weight = 1, InFlight = 2 }];
        Assert.Equal(1, new LeastConnections().Pick(candidates, new PickInput()));
    }

    [Fact]
    public void RandomChoice_ThousandsOfRolls_SharesFollowWeights()
    {
        Candidate[] candidates = [new() { Weight = 5 }, new() { Index = 1, Weight = 1 }, new() { Index = 2, Weight = 4 }];
        var chance = new Chance(42);
        var counts = new int[3];
        for (var i = 0; i < 20_000; i++)
        {
            counts[new RandomChoice().Pick(candidates, new PickInput { Roll1 = chance.NextDouble() })]++;
        }

        Assert.InRange(counts[0], 9_700, 10_300);
        Assert.InRange(counts[1], 1_800, 2_200);
    }

    [Theory]
    [InlineData(0.0, 0.0, 1)] // draws 0 and 1: 1 is faster
    [InlineData(0.4, 0.0, 1)] // draws 1 and 0
    [InlineData(0.9, 0.9, 1)] // draws 2 and 1
    [InlineData(0.9, 0.0, 2)] // draws 2 and 0: equal, the first draw wins
    [InlineData(0.0, 0.9, 0)] // draws 0 and 2: equal, the first draw wins
    public void ResponseTime_TwoDraws_LowerCostWins(double roll1, double roll2, int expected)
    {
        Candidate[] candidates =
        [
            new() { Index = 0, Weight = 1, LatencyMs = 100, LatencyAtMs = NowMs },
            new() { Index = 1, Weight = 1, LatencyMs = 50, LatencyAtMs = NowMs },
            new() { Index = 2, Weight = 1, LatencyMs = 100, LatencyAtMs = NowMs },
        ];
        Assert.Equal(expected, new ResponseTime().Pick(candidates, new PickInput { NowMs = NowMs, Roll1 = roll1, Roll2 = roll2 }));
    }

    [Fact]
    public void ResponseTime_WithoutSamples_TriedWhenIdleButNotFlooded()
    {
        Candidate[] candidates = [new() { Weight = 1, LatencyMs = 50, LatencyAtMs = NowMs }, new() { Index = 1, Weight = 1 }];
        Assert.Equal(1, new ResponseTime().Pick(candidates, new PickInput { NowMs = NowMs }));
        candidates[1].InFlight = 1;
        Assert.Equal(0, new ResponseTime().Pick(candidates, new PickInput { NowMs = NowMs }));
    }

    [Fact]
    public void ResponseTime_OldSample_FadesUntilTriedAgain()
    {
        Candidate[] candidates =
        [
            new() { Weight = 1, LatencyMs = 50, LatencyAtMs = NowMs },
            new() { Index = 1, Weight = 1, LatencyMs = 500, LatencyAtMs = NowMs - 30_000 },
        ];
        Assert.Equal(1, new ResponseTime().Pick(candidates, new PickInput { NowMs = NowMs }));
        candidates[1].LatencyAtMs = NowMs - 1_000;
        Assert.Equal(0, new ResponseTime().Pick(candidates, new PickInput { NowMs = NowMs }));
    }

    [Fact]
    public void ResponseTime_TwoDraws_AreAlwaysDistinct()
    {
        var chance = new Chance(3);
        var candidates = Enumerable.Range(0, 5).Select(i => new Candidate { Index = i, Weight = 1, LatencyMs = i == 2 ? 900 : 10, LatencyAtMs = NowMs }).ToArray();
        for (var i = 0; i < 5_000; i++)
        {
            var input = new PickInput { NowMs = NowMs, Roll1 = chance.NextDouble(), Roll2 = chance.NextDouble() };
            Assert.NotEqual(2, new ResponseTime().Pick(candidates, input)); // the slowest never beats another
        }
    }
}
