using System.Collections.Immutable;

namespace Roadbalancer.Ledger;

/// <summary>
/// Hour buckets for 35 days, rolled up to days for 400; immutable. Hours and days are numbered since 1970, UTC. As text it is under 40 KB
/// whatever was counted: the two newest hours are exact, older buckets have 17 significant bits.
/// </summary>
/// <remarks>
/// Text: the first hour and how many follow one another, then each; the same of days. A bucket is 0xFF when empty, else its eight numbers,
/// 24 bytes at most. The two newest hours, which still grow, are written exactly behind a 0. A day is rolled up whole, so that it is rounded once.
/// </remarks>
internal sealed class HourLog
{
    /// <summary>Whole days before today that are kept by the hour.</summary>
    public const int DaysOfHours = 35;

    /// <summary>Days before today that are kept at all.</summary>
    public const int DaysKept = 400;

    public static readonly HourLog Empty = new(ImmutableSortedDictionary<long, Bucket>.Empty, ImmutableSortedDictionary<long, Bucket>.Empty);

    private const byte Idle = 0xFF;
    private const int HoursADay = 24;

    /// <summary>The year 3111: nothing that counts comes later.</summary>
    private const long MostHours = 10_000_000;

    /// <summary>The newest hour and the newest day that is rolled up; -1 for none. Kept, because the dictionaries can only be walked through for them.</summary>
    private readonly long _lastHour;
    private readonly long _lastDay;

    private HourLog(ImmutableSortedDictionary<long, Bucket> hours, ImmutableSortedDictionary<long, Bucket> days)
        : this(hours, days, hours.IsEmpty ? -1 : hours.Keys.Last(), days.IsEmpty ? -1 : days.Keys.Last())
    {
    }

    private HourLog(ImmutableSortedDictionary<long, Bucket> hours, ImmutableSortedDictionary<long, Bucket> days, long lastHour, long lastDay) =>
        (Hours, Days, _lastHour, _lastDay) = (hours, days, lastHour, lastDay);

    /// <summary>By number of the hour, none of them empty.</summary>
    public ImmutableSortedDictionary<long, Bucket> Hours { get; }

    /// <summary>By number of the day, none of them empty, each older than every hour.</summary>
    public ImmutableSortedDictionary<long, Bucket> Days { get; }

    public bool IsEmpty => Hours.IsEmpty && Days.IsEmpty;

    public static long HourOf(DateTimeOffset time) => (long)Math.Floor((time - DateTimeOffset.UnixEpoch).TotalHours);

    /// <summary>The bucket of <paramref name="hour"/>; empty where nothing was counted.</summary>
    public Bucket At(long hour) => Hours.GetValueOrDefault(hour);

    /// <summary>With that bucket in place of the one there; one that is rolled up already, or out of all bounds, changes nothing.</summary>
    public HourLog With(long hour, Bucket bucket)
    {
        if (hour is < 0 or >= MostHours || (_lastHour >= 0 && hour / HoursADay < (_lastHour / HoursADay) - DaysOfHours) || hour / HoursADay <= _lastDay)
        {
            return this;
        }

        // Within the newest day nothing is rolled up.
        if (!bucket.IsEmpty && _lastHour >= 0 && hour / HoursADay <= _lastHour / HoursADay)
        {
            return new HourLog(Hours.SetItem(hour, bucket), Days, Math.Max(hour, _lastHour), _lastDay);
        }

        return RollUp(bucket.IsEmpty ? Hours.Remove(hour) : Hours.SetItem(hour, bucket), Days);
    }

    /// <summary>What <see cref="ToString"/> gave.</summary>
    /// <exception cref="FormatException">It is no such text.</exception>
    public static HourLog Parse(string text)
    {
        var reader = new PackedReader(text);
        var hours = Read(reader, exact: 2);
        var days = Read(reader, exact: 0);
        return reader.IsAtEnd && hours.Count <= (DaysOfHours + 1) * HoursADay && days.Count <= DaysKept
            && (hours.IsEmpty || days.IsEmpty || days.Keys.Last() < hours.Keys.First() / HoursADay)
            ? new HourLog(hours, days)
            : throw new FormatException("not a log of hours and days");
    }

    public override string ToString()
    {
        var writer = new PackedWriter();
        Write(writer, Hours, exact: 2);
        Write(writer, Days, exact: 0);
        return writer.ToString();
    }

    private static HourLog RollUp(ImmutableSortedDictionary<long, Bucket> hours, ImmutableSortedDictionary<long, Bucket> days)
    {
        if (hours.IsEmpty)
        {
            return new HourLog(hours, days);
        }

        var today = hours.Keys.Last() / HoursADay;
        foreach (var (hour, bucket) in hours.TakeWhile(pair => pair.Key / HoursADay < today - DaysOfHours).ToList())
        {
            var day = hour / HoursADay;
            days = days.SetItem(day, days.GetValueOrDefault(day) + bucket);
            hours = hours.Remove(hour);
        }

        return new HourLog(hours, days.RemoveRange(days.Keys.TakeWhile(day => day < today - DaysKept).ToList()));
    }

    private static void Write(PackedWriter writer, ImmutableSortedDictionary<long, Bucket> buckets, int exact)
    {
        if (buckets.IsEmpty)
        {
            writer.Exact(0);
            writer.Exact(0);
            return;
        }

        long first = buckets.Keys.First(), last = buckets.Keys.Last();
        writer.Exact(first);
        writer.Exact(last - first + 1);
        for (var at = first; at <= last; at++)
        {
            if (!buckets.TryGetValue(at, out var bucket))
            {
                writer.Byte(Idle);
                continue;
            }

            var isExact = at > last - exact;
            if (isExact)
            {
                writer.Byte(0);
            }

            foreach (var number in bucket.Numbers())
            {
                (isExact ? writer.Exact : (Action<long>)writer.Rounded)(number);
            }
        }
    }

    private static ImmutableSortedDictionary<long, Bucket> Read(PackedReader reader, int exact)
    {
        long first = reader.Exact(), count = reader.Exact();
        if (first >= MostHours || count > (DaysOfHours + 1) * HoursADay)
        {
            throw new FormatException("more hours than are kept");
        }

        var buckets = ImmutableSortedDictionary.CreateBuilder<long, Bucket>();
        for (var at = first; at < first + count; at++)
        {
            if (reader.Skip(Idle))
            {
                continue;
            }

            var isExact = at >= first + count - exact;
            if (isExact && reader.Byte() != 0)
            {
                throw new FormatException("a recent hour begins with 0");
            }

            var bucket = Bucket.From(isExact ? reader.Exact : reader.Rounded);
            if (!bucket.IsEmpty)
            {
                buckets[at] = bucket;
            }
        }

        return buckets.ToImmutable();
    }
}
