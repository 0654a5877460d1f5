using System.Collections.Immutable;

namespace Roadbalancer.Ledger;

/// <summary>What was counted over time.</summary>
/// <param name="From">The first point's start, UTC.</param>
/// <param name="To">The last point's end, UTC.</param>
/// <param name="Step">Between two points: what was asked for, or more where that is not kept.</param>
/// <param name="Backends">By name; each has every point, also those of nothing.</param>
internal sealed record HistoryReport(DateTimeOffset From, DateTimeOffset To, TimeSpan Step, ImmutableArray<BackendHistory> Backends);

/// <summary>What client keys were used for over time; otherwise a <see cref="HistoryReport"/>.</summary>
/// <param name="Span">From when to when, in which steps.</param>
/// <param name="Keys">By name; each has every point, also those of nothing.</param>
internal sealed record KeyHistoryReport(HistorySpan Span, ImmutableArray<(string Name, ImmutableArray<HistoryPoint> Points)> Keys)
{
    /// <summary>Why there are no keys.</summary>
    public KeyHistoryFault Fault { get; init; }
}

/// <summary>Why a <see cref="KeyHistoryReport"/> tells nothing.</summary>
internal enum KeyHistoryFault
{
    /// <summary>It does.</summary>
    None,

    /// <summary>All keys together have more points than <see cref="KeyHistory.MostPoints"/>.</summary>
    TooMany,

    /// <summary>The shared store did not answer: hours that only it has would be missing.</summary>
    Unread,
}

/// <summary>One backend in a <see cref="HistoryReport"/>.</summary>
/// <param name="Name">The backend's name.</param>
/// <param name="Points">By time.</param>
/// <param name="Trips">How often its circuit opened up to a moment, since the entry before; the last ones known, by time.</param>
internal sealed record BackendHistory(string Name, ImmutableArray<HistoryPoint> Points, ImmutableArray<Trip> Trips);

/// <summary>What was counted from <paramref name="Start"/> until the next point. Numbers of hours past are rounded to 17 bits (0.0004 %).</summary>
/// <param name="Start">UTC.</param>
/// <param name="Counted">The counts and sums.</param>
internal readonly record struct HistoryPoint(DateTimeOffset Start, Bucket Counted)
{
    /// <summary>Mean duration of successful attempts in milliseconds; null without any.</summary>
    public double? MeanDurationMs => Counted.Successes == 0 ? null : Counted.DurationMicroseconds / 1000.0 / Counted.Successes;

    /// <summary>Mean time to first token in milliseconds; null without streams that began.</summary>
    public double? MeanFirstTokenMs => Counted.FirstTokens == 0 ? null : Counted.FirstTokenMicroseconds / 1000.0 / Counted.FirstTokens;
}
