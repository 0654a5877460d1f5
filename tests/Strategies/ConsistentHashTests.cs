using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Strategies;

public sealed class ConsistentHashTests
{
    private const int Keys = 5_000;

    [Fact]
    public void Pick_BackendLeavesConfiguration_MovesOnlyItsOwnKeys()
    {
        var before = Backends(8);
        var after = before.RemoveAt(3);
        AssertOnlyKeysOfMove(before[3].Name, Owners(before, Candidates(before)), Owners(after, Candidates(after)));
    }

    [Fact]
    public void Pick_WeightedBackendLeavesConfiguration_MovesOnlyItsOwnKeys()
    {
        var before = Backends(5).Select((backend, index) => backend with { Weight = (index * 7) + 1 }).ToImmutableArray();
        var after = before.RemoveAt(4);
        AssertOnlyKeysOfMove(before[4].Name, Owners(before, Candidates(before)), Owners(after, Candidates(after)));
    }

    [Fact]
    public void Pick_BackendIsNoCandidate_MovesOnlyItsOwnKeys()
    {
        var backends = Backends(8);
        var without = Candidates(backends).Where(candidate => candidate.Index != 5).ToArray();
        AssertOnlyKeysOfMove(backends[5].Name, Owners(backends, Candidates(backends)), Owners(backends, without));
    }

    [Fact]
    public void Pick_ConfigurationReordered_MovesNothing()
    {
        var backends = Backends(6);
        ImmutableArray<Backend> reordered = [.. backends.Reverse()];
        Assert.Equal(Owners(backends, Candidates(backends)), Owners(reordered, Candidates(reordered)));
    }

    [Fact]
    public void Pick_ManyKeys_SharesFollowWeights()
    {
        ImmutableArray<Backend> backends = [Pools.Backend("a", 30), Pools.Backend("b", 10), Pools.Backend("c", 20)];
        var shares = Owners(backends, Candidates(backends)).CountBy(name => name).ToDictionary();
        Assert.InRange(shares["a"], Keys * 0.45, Keys * 0.55);
        Assert.InRange(shares["b"], Keys * 0.13, Keys * 0.20);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(5, 1, 1)]
    [InlineData(1000, 1, 30)]
    public void Pick_OneHotKey_NobodyTakesMoreThanItsBoundedShare(int a, int b, int c)
    {
        ImmutableArray<Backend> backends = [Pools.Backend("a", a), Pools.Backend("b", b), Pools.Backend("c", c)];
        var candidates = Candidates(backends);
        var ring = Ring.Build(backends);
        for (var total = 1; total <= 300; total++)
        {
            var picked = new ConsistentHash().Pick(candidates, new PickInput { Ring = ring, AffinityKey = 12345 });
            candidates[picked].InFlight++;
            Assert.True(candidates[picked].InFlight <= Math.Ceiling(1.25 * total * candidates[picked].Weight / (a + b + c)), $"at {total} in all");
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(300)]
    [InlineData(3_000)]
    public void Build_AnyNumberOfBackends_StaysBoundedWithEveryBackendOnIt(int count)
    {
        var ring = Ring.Build([.. Backends(count).Select((backend, index) => backend with { Weight = index == 0 ? 1_000_000 : 1 })]);
        Assert.InRange(ring.Points, count, 40_000);
        Assert.Equal(count, Enumerable.Range(0, ring.Points).Select(ring.OwnerAt).Distinct().Count());
    }

    private static ImmutableArray<Backend> Backends(int count) => [.. Enumerable.Range(0, count).Select(i => Pools.Backend($"backend-{i}"))];

    private static Candidate[] Candidates(ImmutableArray<Backend> backends) =>
        [.. backends.Select((backend, index) => new Candidate { Index = index, Weight = backend.Weight })];

    private static List<string> Owners(ImmutableArray<Backend> backends, Candidate[] candidates)
    {
        var ring = Ring.Build(backends);
        var chance = new Chance(11);
        return [.. Enumerable.Range(0, Keys).Select(_ => new ConsistentHash().Pick(candidates, new PickInput { Ring = ring, AffinityKey = chance.NextBits() }))
            .Select(picked => backends[candidates[picked].Index].Name)];
    }

    private static void AssertOnlyKeysOfMove(string left, List<string> before, List<string> after)
    {
        Assert.Contains(left, before);
        Assert.All(before.Zip(after), pair => Assert.True(pair.First == pair.Second || (pair.First == left && pair.Second != left), $"{pair}"));
    }
}
