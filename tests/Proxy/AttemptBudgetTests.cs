using Roadbalancer.Proxy;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class AttemptBudgetTests
{
    [Fact]
    public void TryTake_RandomTraffic_AgreesWithASimpleModel()
    {
        for (var seed = 1UL; seed <= 50; seed++)
        {
            var chance = new Chance(seed);
            var time = new ManualTime();
            var budget = new AttemptBudget(time);
            var ratio = chance.Next(5) * 0.1;
            var floor = chance.Next(4);
            var elapsed = TimeSpan.Zero;
            var requests = new List<long>();
            var extras = new List<long>();
            for (var step = 0; step < 400; step++)
            {
                var second = (long)elapsed.TotalSeconds;
                if (chance.Next(3) > 0)
                {
                    budget.CountRequest();
                    requests.Add(second);
                }
                else
                {
                    var allowed = extras.Count(at => at > second - 10) + 1 <= Math.Max(floor, ratio * requests.Count(at => at > second - 10));
                    Assert.True(budget.TryTake(ratio, floor) == allowed, $"seed {seed}, step {step}");
                    if (allowed)
                    {
                        extras.Add(second);
                    }
                }

                if (chance.Next(4) == 0)
                {
                    // Whole milliseconds and a bit, so that no step lies on a bucket's edge, where the clock's own rounding decides.
                    var by = TimeSpan.FromMilliseconds(chance.Next(chance.Next(20) == 0 ? 30_000 : 2_000)) + TimeSpan.FromMicroseconds(3);
                    time.Advance(by);
                    elapsed += by;
                }
            }
        }
    }

    [Fact]
    public void TryTake_NoRequests_AllowsTheFloorAgainAfterTenSeconds()
    {
        var time = new ManualTime();
        var budget = new AttemptBudget(time);
        Assert.Equal([true, true, false], new[] { budget.TryTake(0.2, 2), budget.TryTake(0.2, 2), budget.TryTake(0.2, 2) });
        time.Advance(TimeSpan.FromSeconds(9.5));
        Assert.False(budget.TryTake(0.2, 2));
        time.Advance(TimeSpan.FromSeconds(0.6));
        Assert.True(budget.TryTake(0.2, 2));
    }
}
