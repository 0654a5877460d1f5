using Roadbalancer.Proxy;
using Roadbalancer.Stats;

namespace Roadbalancer.Tests.Stats;

public class HistogramTests
{
    [Fact]
    public void Sum_OfSeveral_HasThePercentilesOfAllTheirValues()
    {
        var (fast, slow, all) = (new Histogram(), new Histogram(), new Histogram());
        for (var value = 1; value <= 1_000; value++)
        {
            // Nine in ten are fast: a mean of the two medians would be far from the median of all.
            var (one, milliseconds) = value % 10 == 0 ? (slow, 2_000.0 + value) : (fast, 20.0 + value / 100.0);
            one.Record(milliseconds);
            all.Record(milliseconds);
        }

        var sum = Histogram.Sum([fast, new Histogram(), slow]);

        Assert.Equal((all.Count, all.SumMicroseconds), (sum.Count, sum.SumMicroseconds));
        foreach (var ratio in new[] { 0.5, 0.9, 0.95, 0.99 })
        {
            Assert.Equal(all.Percentile(ratio), sum.Percentile(ratio));
        }

        Assert.InRange(sum.Percentile(0.5), 18, 32);
        Assert.InRange(sum.Percentile(0.95), 2_000, 3_400);
    }

    [Fact]
    public void Sum_OfNone_IsEmpty() => Assert.Equal((0L, 0.0), (Histogram.Sum([]).Count, Histogram.Sum([]).Percentile(0.99)));

    [Fact]
    public void Sum_OfTotals_AddsEveryCounter()
    {
        var (one, other) = (new BackendTotals(), new BackendTotals());
        one.Record(new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 100, FirstTokenMs = 10, InputTokens = 3, OutputTokens = 5 });
        other.Record(new AttemptOutcome(OutcomeKind.ServerError) { InputTokens = 7 });
        other.Record(new AttemptOutcome(OutcomeKind.ClientLeft));

        var sum = BackendTotals.Sum([one, other]);

        Assert.Equal((3L, 1L, 1L, 10L, 5L), (sum.Requests, sum.Successes, sum.Failures, sum.InputTokens, sum.OutputTokens));
        Assert.Equal((1L, 1L), (sum.Duration.Count, sum.FirstToken.Count));
    }
}
