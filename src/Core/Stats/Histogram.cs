namespace Roadbalancer.Stats;

/// <summary>
/// Counts of durations in fixed buckets, each 12.2 % wider than the one before (six to a doubling), from 1 ms to over an hour: a percentile
/// is right to within that width. Integers only, so that it can be added up across instances and stored as it is.
/// </summary>
internal sealed class Histogram
{
    /// <summary>Buckets to a doubling.</summary>
    public const int PerDoubling = 6;

    /// <summary>The last bucket takes everything from 2^22 ms (70 minutes) on.</summary>
    public const int Buckets = 22 * PerDoubling + 1;

    private long[] _counts = new long[Buckets];

    /// <summary>How many values were recorded.</summary>
    public long Count { get; private set; }

    /// <summary>Sum of all values, in whole microseconds.</summary>
    public long SumMicroseconds { get; private set; }

    /// <summary>The counts, by bucket.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Arithmetic mean in milliseconds; 0 without values.</summary>
    public double MeanMs => Count == 0 ? 0 : SumMicroseconds / 1000.0 / Count;

    /// <summary>The upper bound of <paramref name="bucket"/> in milliseconds.</summary>
    public static double UpperBoundMs(int bucket) => bucket >= Buckets - 1 ? double.PositiveInfinity : Math.Pow(2, (bucket + 1) / (double)PerDoubling);

    public static int BucketOf(double milliseconds) =>
        milliseconds <= 1 ? 0 : Math.Min(Buckets - 1, (int)(Math.Log2(milliseconds) * PerDoubling));

    public void Record(double milliseconds)
    {
        _counts[BucketOf(milliseconds)]++;
        Count++;
        SumMicroseconds += (long)(Math.Max(0, milliseconds) * 1000);
    }

    /// <summary>The value in milliseconds below which <paramref name="ratio"/> (0 to 1) of all values lie; 0 without values.</summary>
    public double Percentile(double ratio)
    {
        if (Count == 0)
        {
            return 0;
        }

        var rank = ratio * Count;
        long below = 0;
        for (var bucket = 0; bucket < Buckets; bucket++)
        {
            var inBucket = _counts[bucket];
            if (inBucket > 0 && below + inBucket >= rank)
            {
                var lower = bucket == 0 ? 0 : UpperBoundMs(bucket - 1);
                var upper = bucket == Buckets - 1 ? lower * 2 : UpperBoundMs(bucket);
                return lower + ((upper - lower) * Math.Clamp((rank - below) / inBucket, 0, 1));
            }

            below += inBucket;
        }

        return UpperBoundMs(Buckets - 2);
    }

    /// <summary>All values of several: where percentiles cannot be averaged, counts can be added up.</summary>
    public static Histogram Sum(IEnumerable<Histogram> histograms)
    {
        var sum = new Histogram();
        foreach (var one in histograms)
        {
            for (var bucket = 0; bucket < Buckets; bucket++)
            {
                sum._counts[bucket] += one._counts[bucket];
            }

            sum.Count += one.Count;
            sum.SumMicroseconds += one.SumMicroseconds;
        }

        return sum;
    }

    /// <summary>What a store kept of another process's histogram.</summary>
    public static Histogram From(long[] counts, long sumMicroseconds) => new() { _counts = counts, Count = counts.Sum(), SumMicroseconds = sumMicroseconds };

    public Histogram Copy()
    {
        var copy = (Histogram)MemberwiseClone();
        copy._counts = [.. _counts];
        return copy;
    }
}
