using Roadbalancer.Backends;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Backends;

public sealed class BackendSetTests
{
    [Fact]
    public void Default_IsEmpty()
    {
        var set = default(BackendSet);
        Assert.True(set.IsEmpty);
        Assert.False(set.Contains(0));
        Assert.False(set.Contains(63));
        Assert.False(set.Contains(64));
        Assert.False(set.Contains(1000));
    }

    [Fact]
    public void Add_AnyIndices_AgreesWithASet()
    {
        for (var seed = 1UL; seed <= 20; seed++)
        {
            var chance = new Chance(seed);
            var set = default(BackendSet);
            var model = new HashSet<int>();
            for (var step = 0; step < 60; step++)
            {
                var index = chance.Next(300);
                set.Add(index);
                model.Add(index);
                Assert.False(set.IsEmpty);
                Assert.All(Enumerable.Range(0, 400), at => Assert.True(set.Contains(at) == model.Contains(at), $"seed {seed}, step {step}, index {at}"));
            }
        }
    }

    [Theory]
    [InlineData(3, 5)]
    [InlineData(63, 64)]
    [InlineData(64, 65)]
    [InlineData(70, 200)]
    public void Add_ToACopy_LeavesTheOriginalAlone(int before, int added)
    {
        var set = default(BackendSet);
        set.Add(before);
        var copy = set;
        copy.Add(added);
        Assert.Equal((true, false), (set.Contains(before), set.Contains(added)));
        Assert.Equal((true, true), (copy.Contains(before), copy.Contains(added)));
    }
}
