using System.Collections.Immutable;

namespace Roadbalancer.Ledger;

/// <summary>The stretch of time that a <see cref="HistoryReport"/> is of, on whole steps since 1970.</summary>
/// <param name="From">The first point's start, UTC.</param>
/// <param name="Count">How many points there are.</param>
/// <param name="Step">Between two points.</param>
internal readonly record struct HistorySpan(DateTimeOffset From, int Count, TimeSpan Step)
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    /// <summary>Beyond it there is nothing, so that no more than some 850 points of hours or 400 of days are told of a backend.</summary>
    private static readonly TimeSpan Longest = Day * (HourLog.DaysKept + 1);

    /// <summary>The last point's end, UTC.</summary>
    public DateTimeOffset To => From + (Step * Count);

    /// <summary>As <see cref="History.ReadAsync"/> tells it.</summary>
    /// <exception cref="ArgumentException">The span ends before it begins, or the step is not above 0.</exception>
    public static HistorySpan Of(DateTimeOffset from, DateTimeOffset to, TimeSpan step, DateTimeOffset now)
    {
        if (to <= from)
        {
            throw new ArgumentException("to must be later than from", nameof(to));
        }

        if (step <= TimeSpan.Zero)
        {
            throw new ArgumentException("step must be above 0", nameof(step));
        }

        var (oldest, newest) = (now - Longest, now + Hour);
        step = Ceiling(step < Longest ? step : Longest, from < now - (Day * HourLog.DaysOfHours) ? Day : Hour);
        var first = Floor(from < oldest ? oldest : from > newest ? newest : from, step);
        var last = Floor((to < oldest ? oldest : to > newest ? newest : to) - TimeSpan.FromTicks(1), step);
        return new HistorySpan(first, (int)Math.Max(0, ((last - first).Ticks / step.Ticks) + 1), step);
    }

    /// <summary>What <paramref name="log"/> has of it, the points of nothing included.</summary>
    public ImmutableArray<HistoryPoint> Points(HourLog log)
    {
        var (from, step) = (From, Step);
        var buckets = new Bucket[Count];
        Add(log.Hours, Hour);
        Add(log.Days, Day);
        return [.. buckets.Select((bucket, index) => new HistoryPoint(from + (step * index), bucket))];

        void Add(ImmutableSortedDictionary<long, Bucket> numbered, TimeSpan unit)
        {
            foreach (var (number, bucket) in numbered)
            {
                var index = (DateTimeOffset.UnixEpoch + (unit * number) - from).Ticks;
                if (index >= 0 && index / step.Ticks < buckets.Length)
                {
                    buckets[index / step.Ticks] += bucket;
                }
            }
        }
    }

    private static TimeSpan Ceiling(TimeSpan step, TimeSpan unit) => TimeSpan.FromTicks((step.Ticks + unit.Ticks - 1) / unit.Ticks * unit.Ticks);

    private static DateTimeOffset Floor(DateTimeOffset at, TimeSpan step)
    {
        var since = (at - DateTimeOffset.UnixEpoch).Ticks;
        return DateTimeOffset.UnixEpoch.AddTicks(since - (((since % step.Ticks) + step.Ticks) % step.Ticks));
    }
}
