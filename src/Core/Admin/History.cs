using System.Collections.Immutable;
using Roadbalancer.Stats;

namespace Roadbalancer.Admin;

/// <summary>What is asked of the history.</summary>
/// <param name="Backend">Whose; null for all.</param>
/// <param name="From">The beginning.</param>
/// <param name="To">The end, exclusive.</param>
/// <param name="Step">The length of a point, 1 minute to 1 day; what was kept in longer ones is told in those.</param>
internal sealed record HistoryQuery(string? Backend, DateTimeOffset From, DateTimeOffset To, TimeSpan Step);

/// <summary>What was counted of one backend in one step.</summary>
internal sealed record HistoryPoint(DateTimeOffset Time, BackendTotals Totals);

/// <summary>One backend's points, oldest first; steps in which nothing happened are left out.</summary>
internal sealed record HistorySeries(string Backend, ImmutableArray<HistoryPoint> Points);

/// <summary>A change of a backend's standing.</summary>
/// <param name="Time">When.</param>
/// <param name="Backend">Whose.</param>
/// <param name="Kind">As events call it: <c>opened</c>, <c>closed</c>, …</param>
internal sealed record HistoryTransition(DateTimeOffset Time, string Backend, string Kind);

/// <summary>What is known of the time asked for.</summary>
/// <param name="Step">The step that the points really have.</param>
/// <param name="Backends">A series for each backend that is or was known; null when the one asked for never was.</param>
/// <param name="Transitions">Oldest first.</param>
internal sealed record HistoryPage(TimeSpan Step, ImmutableArray<HistorySeries>? Backends, ImmutableArray<HistoryTransition> Transitions);

/// <summary>Where history is read from; whoever keeps one puts itself here.</summary>
internal sealed class HistorySource
{
    /// <summary>Reads; null while nothing keeps history.</summary>
    public Func<HistoryQuery, CancellationToken, ValueTask<HistoryPage>>? ReadAsync { get; set; }
}
