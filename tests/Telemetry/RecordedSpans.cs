using System.Collections.Concurrent;
using System.Diagnostics;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Tests.Telemetry;

/// <summary>Listens to one trace and to no other, so that tests that run at the same time stay untraced.</summary>
internal sealed class RecordedSpans : IDisposable
{
    private readonly ActivityListener _listener;
    private readonly ConcurrentQueue<Activity> _ended = new();

    /// <param name="sampling">What the listener wants of the trace.</param>
    public RecordedSpans(ActivitySamplingResult sampling = ActivitySamplingResult.AllDataAndRecorded)
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == RequestSpan.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent.TraceId.ToHexString() != TraceId ? ActivitySamplingResult.None
                : options.Kind == ActivityKind.Client && sampling == ActivitySamplingResult.PropagationData ? ActivitySamplingResult.None : sampling,
            ActivityStopped = activity =>
            {
                if (activity.TraceId.ToHexString() == TraceId)
                {
                    _ended.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public string TraceId { get; } = ActivityTraceId.CreateRandom().ToHexString();

    /// <summary>The client's own span, as its <c>traceparent</c> names it.</summary>
    public string ClientSpanId { get; } = ActivitySpanId.CreateRandom().ToHexString();

    public string TraceParent => $"00-{TraceId}-{ClientSpanId}-01";

    public IReadOnlyCollection<Activity> Ended => _ended;

    public Activity Request => _ended.Single(span => span.Kind == ActivityKind.Server);

    public Activity[] Attempts => [.. _ended.Where(span => span.Kind == ActivityKind.Client).OrderBy(span => span.StartTimeUtc)];

    public void Dispose() => _listener.Dispose();
}
