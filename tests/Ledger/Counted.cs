using Roadbalancer.Ledger;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Ledger;

/// <summary>Counters for tests in a line.</summary>
internal static class Counted
{
    /// <summary>As a store would have counted these attempts.</summary>
    public static Tally Of(int successes, int failures = 0, long trips = 0)
    {
        var totals = new BackendTotals();
        for (var i = 0; i < successes; i++)
        {
            totals.Record(new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 100 + i, FirstTokenMs = 10, InputTokens = 7, OutputTokens = 5 });
        }

        for (var i = 0; i < failures; i++)
        {
            totals.Record(new AttemptOutcome(OutcomeKind.ServerError));
        }

        return Tally.Of(totals, trips);
    }

    /// <summary>Every counter as large as it can be kept.</summary>
    public static Tally Largest()
    {
        long[] Full(int length) => [.. Enumerable.Repeat(PackedWriter.Most, length)];
        var kinds = Full(32);
        var totals = BackendTotals.From(
            kinds, PackedWriter.Most, PackedWriter.Most, Histogram.From(Full(Histogram.Buckets), PackedWriter.Most), Histogram.From(Full(Histogram.Buckets), PackedWriter.Most),
            null, 0, 0);
        return Tally.Of(totals, PackedWriter.Most);
    }

    /// <summary>A bucket of numbers below <paramref name="most"/>.</summary>
    public static Bucket Bucket(Chance chance, int most) => Roadbalancer.Ledger.Bucket.From(() => chance.Next(most));

    public static BackendPut Put(long version, Tally totals, params (long Hour, Bucket Bucket)[] hours) =>
        new() { Version = version, Birth = 1, Totals = totals, Mark = totals, Hours = [.. hours] };
}
