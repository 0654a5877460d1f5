using System.Diagnostics;
using Roadbalancer.Proxy;
using Roadbalancer.Wire;

namespace Roadbalancer.Telemetry;

/// <summary>One attempt at a backend in its request's trace.</summary>
/// <param name="activity">The span; null where the trace is not recorded.</param>
/// <param name="carrier">What the backend's own trace continues.</param>
internal sealed class AttemptSpan(Activity? activity, Activity carrier) : IDisposable
{
    /// <summary>Puts the span where the client's own <c>traceparent</c> and <c>tracestate</c> were.</summary>
    /// <param name="request">The request to the backend.</param>
    /// <param name="route">A backend whose configuration sets one of them keeps it.</param>
    public void PassOn(WireRequest request, BackendRoute route)
    {
        if (!route.Sets("traceparent"))
        {
            request.Add("traceparent", carrier.Id);
        }

        if (carrier.TraceStateString is { Length: > 0 } state && !route.Sets("tracestate"))
        {
            request.Add("tracestate", state);
        }
    }

    /// <summary>Whether <see cref="PassOn"/> says what this header is, in place of the client's.</summary>
    public static bool Sets(string name) =>
        name.Equals("traceparent", StringComparison.OrdinalIgnoreCase) || name.Equals("tracestate", StringComparison.OrdinalIgnoreCase);

    /// <summary>Tells what became of the attempt, and ends it.</summary>
    public void End(AttemptOutcome outcome, JoinMode join)
    {
        if (activity is null)
        {
            return;
        }

        activity.SetTag("http.response.status_code", outcome.Status == 0 ? null : outcome.Status)
            .SetTag("gen_ai.usage.input_tokens", outcome.InputTokens)
            .SetTag("gen_ai.usage.output_tokens", outcome.OutputTokens)
            .SetTag("roadbalancer.time_to_first_token", outcome.FirstTokenMs / 1000)
            .SetTag("roadbalancer.join", join == JoinMode.None ? null : Trail.SnakeCase(join.ToString()));
        if (outcome.Kind is not (OutcomeKind.Succeeded or OutcomeKind.Superseded))
        {
            activity.SetTag("error.type", Trail.NameOf(outcome.Kind)).SetStatus(ActivityStatusCode.Error, outcome.Detail);
        }

        activity.Dispose();
    }

    public void Dispose() => activity?.Dispose();
}
