namespace Roadbalancer.Ledger;

/// <summary>
/// What was counted of one backend in one hour or one day: eight numbers, never negative. Of a client key successes are the requests let in, failures
/// those refused, and there are no times.
/// </summary>
internal readonly record struct Bucket
{
    public long Requests { get; init; }

    public long Successes { get; init; }

    public long Failures { get; init; }

    public long InputTokens { get; init; }

    public long OutputTokens { get; init; }

    /// <summary>Sum of the durations of successful attempts.</summary>
    public long DurationMicroseconds { get; init; }

    /// <summary>Sum of the times to first token.</summary>
    public long FirstTokenMicroseconds { get; init; }

    /// <summary>Streams that began.</summary>
    public long FirstTokens { get; init; }

    public bool IsEmpty => this == default;

    public static Bucket Of(Tally counted) => new()
    {
        Requests = counted.Requests,
        Successes = counted.Successes,
        Failures = counted.Failures + counted.Refusals,
        InputTokens = counted.InputTokens,
        OutputTokens = counted.OutputTokens,
        DurationMicroseconds = counted.DurationMicroseconds,
        FirstTokenMicroseconds = counted.FirstTokenMicroseconds,
        FirstTokens = counted.FirstTokens,
    };

    /// <summary>From <see cref="Numbers"/>.</summary>
    public static Bucket From(Func<long> next) => new()
    {
        Requests = next(),
        Successes = next(),
        Failures = next(),
        InputTokens = next(),
        OutputTokens = next(),
        DurationMicroseconds = next(),
        FirstTokenMicroseconds = next(),
        FirstTokens = next(),
    };

    /// <summary>In the order in which they are stored.</summary>
    public long[] Numbers() =>
        [Requests, Successes, Failures, InputTokens, OutputTokens, DurationMicroseconds, FirstTokenMicroseconds, FirstTokens];

    public static Bucket operator +(Bucket one, Bucket other)
    {
        var (mine, its, at) = (one.Numbers(), other.Numbers(), 0);
        return From(() => Math.Min(mine[at] + its[at++], PackedWriter.Most));
    }
}
