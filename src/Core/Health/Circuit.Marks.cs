using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.Health;

/// <content>What does not depend on the circuit's state: parking, credentials, absent models, latency, failure load, the failure window.</content>
internal static partial class Circuit
{
    /// <summary>What «leave me alone» means without a time.</summary>
    private const long DefaultParkMs = 1_000;

    /// <summary>The longest <c>Retry-After</c> that is believed: a backend asked again too early says so again, one never asked is lost.</summary>
    private const long LongestParkMs = 3_600_000;

    /// <summary>Clients choose model names, so what is remembered of them is bounded; the one that ends first makes room.</summary>
    private const int MostAbsentModels = 64;

    private const double MostFailureLoad = 100;

    /// <summary>A failure counts as an answer of at least this latency, so that failing fast is not fast.</summary>
    private const double LeastFailureLatencyMs = 1_000;

    /// <summary>Repeated failures double the average up to here, so that one day it can recover.</summary>
    private const double MostDoubledLatencyMs = 60_000;

    /// <summary>0 means «no samples».</summary>
    private const double LeastLatencyMs = 0.001;

    /// <summary>Peak-sensitive average: a sample above what is left of the average replaces it, one below is blended in by age.</summary>
    internal static void FeedLatency(Vitals vitals, double sampleMs, long nowMs)
    {
        sampleMs = Math.Max(sampleMs, LeastLatencyMs);
        var kept = Fading.Share(nowMs - vitals.LatencyAtMs);
        vitals.LatencyMs = sampleMs >= vitals.LatencyMs * kept
            ? sampleMs
            : (sampleMs * (1 - kept)) + (vitals.LatencyMs * kept);
        vitals.LatencyAtMs = nowMs;
    }

    /// <summary>Feeds latency and failure load by a request's outcome, late ones included.</summary>
    private static void Weigh(Vitals vitals, AttemptOutcome outcome, Blame blame, long nowMs)
    {
        if (blame == Blame.Praise)
        {
            FeedLatency(vitals, outcome.FirstTokenMs ?? outcome.DurationMs, nowMs);
        }
        else if (blame == Blame.Failure)
        {
            var average = Fading.At(vitals.LatencyMs, vitals.LatencyAtMs, nowMs);
            var doubled = Math.Min(Math.Max(2 * average, LeastFailureLatencyMs), MostDoubledLatencyMs);
            FeedLatency(vitals, Math.Max(outcome.DurationMs, doubled), nowMs);
            var load = Fading.At(vitals.FailureLoad, vitals.FailureLoadAtMs, nowMs);
            vitals.FailureLoad = Math.Min(load + 1, MostFailureLoad);
            vitals.FailureLoadAtMs = nowMs;
        }
    }

    private static Transitions Mark(Vitals vitals, string? model, AttemptOutcome outcome, Blame blame, BalancerOptions options, long nowMs)
    {
        var askedMs = outcome.RetryAfter is { } asked ? Math.Clamp((long)asked.TotalMilliseconds, 0, LongestParkMs) : -1;
        switch (blame)
        {
            case Blame.Praise when vitals.Misconfigured:
                vitals.Misconfigured = false;
                return Transitions.CredentialsAccepted;
            case Blame.Failure when outcome.Kind == OutcomeKind.Overloaded && askedMs > 0:
                return Park(vitals, askedMs, nowMs);
            case Blame.Park:
                return Park(vitals, askedMs < 0 ? DefaultParkMs : askedMs, nowMs);
            case Blame.ParkLong:
                return Park(vitals, Math.Max(askedMs, (long)options.QuotaPark.TotalMilliseconds), nowMs);
            case Blame.Misconfigured:
                return RefuseCredentials(vitals, options, nowMs);
            case Blame.ModelAbsent when model is not null:
                ForgetModel(vitals, model, nowMs + (long)options.ModelAbsentPark.TotalMilliseconds, nowMs);
                return Transitions.ModelAbsent;
            default:
                return Transitions.None;
        }
    }

    private static Transitions Park(Vitals vitals, long parkMs, long nowMs)
    {
        var wasParked = nowMs < vitals.ParkedUntilMs;
        vitals.ParkedUntilMs = Math.Max(vitals.ParkedUntilMs, nowMs + parkMs);
        return wasParked || parkMs == 0 ? Transitions.None : Transitions.Parked;
    }

    /// <summary>Without probes nothing but a request could ever clear the mark: then it only parks (<see cref="Backends.Eligibility"/> knows).</summary>
    private static Transitions RefuseCredentials(Vitals vitals, BalancerOptions options, long nowMs)
    {
        if (!options.HealthCheckEnabled)
        {
            Park(vitals, (long)options.QuotaPark.TotalMilliseconds, nowMs);
        }

        var was = vitals.Misconfigured;
        vitals.Misconfigured = true;
        return was ? Transitions.None : Transitions.Misconfigured;
    }

    private static void ForgetModel(Vitals vitals, string model, long untilMs, long nowMs)
    {
        var absent = vitals.AbsentModels ??= new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (name, endsMs) in absent)
        {
            if (endsMs <= nowMs)
            {
                absent.Remove(name);
            }
        }

        if (absent.Count >= MostAbsentModels && !absent.ContainsKey(model))
        {
            absent.Remove(absent.MinBy(pair => pair.Value).Key);
        }

        absent[model] = untilMs;
    }

    /// <summary>
    /// Counts a verdict of a closed circuit; true when it is to open. The window slides: what is left of the stretch before, taken as
    /// evenly spread, and the present stretch.
    /// </summary>
    private static bool CountInWindow(Vitals vitals, bool failed, BalancerOptions options, long nowMs)
    {
        var windowMs = (long)options.FailureWindow.TotalMilliseconds;
        var elapsedMs = nowMs - vitals.WindowStartMs;
        if (elapsedMs >= windowMs)
        {
            var adjoins = elapsedMs < 2 * windowMs;
            vitals.PreviousWindowRequests = adjoins ? vitals.WindowRequests : 0;
            vitals.PreviousWindowFailures = adjoins ? vitals.WindowFailures : 0;
            vitals.WindowRequests = 0;
            vitals.WindowFailures = 0;
            vitals.WindowStartMs = adjoins ? vitals.WindowStartMs + windowMs : nowMs;
            elapsedMs = nowMs - vitals.WindowStartMs;
        }

        vitals.WindowRequests++;
        vitals.WindowFailures += failed ? 1 : 0;
        if (!failed || vitals.ConsecutiveFailures >= options.FailureThreshold)
        {
            return failed;
        }

        var left = 1 - ((double)elapsedMs / windowMs);
        var requests = (vitals.PreviousWindowRequests * left) + vitals.WindowRequests;
        var failures = (vitals.PreviousWindowFailures * left) + vitals.WindowFailures;
        return requests >= options.FailureRatioMinimum && failures >= options.FailureRatio * requests;
    }

    private static void ClearWindow(Vitals vitals, long nowMs)
    {
        vitals.WindowStartMs = nowMs;
        vitals.WindowRequests = 0;
        vitals.WindowFailures = 0;
        vitals.PreviousWindowRequests = 0;
        vitals.PreviousWindowFailures = 0;
    }
}
