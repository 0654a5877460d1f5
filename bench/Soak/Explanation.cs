using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.State;

namespace Roadbalancer.Soak;

/// <summary>Why a request could not be rescued, from what its answer and the log tell of its attempts.</summary>
internal static class Explanation
{
    /// <summary>Outcomes that are the request's own, so that no other backend is asked.</summary>
    private static readonly string[] Own = ["caller_fault", "content_filtered", "context_too_long"];

    /// <summary>A name for the table; null when nothing explains the error.</summary>
    /// <param name="request">What was asked.</param>
    /// <param name="trail">Its attempts, <c>backend;outcome;milliseconds</c> each.</param>
    /// <param name="overBudget">The log says that the retry budget was used up.</param>
    /// <param name="pool">The pool that it met.</param>
    /// <param name="snapshot">The pool's condition just after.</param>
    public static string? Of(SoakRequest request, string trail, bool overBudget, Pool pool, PoolSnapshot snapshot)
    {
        (string Backend, string Outcome)[] attempts = [.. trail.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(attempt => (attempt.Split(';')[0], attempt.Split(';')[1]))];
        var last = attempts.Length > 0 ? attempts[^1].Outcome : "";
        if (overBudget)
        {
            return "the retry budget was used up";
        }

        if (Own.Contains(last))
        {
            return $"a backend said that it is the request's fault: {last}";
        }

        if (last == "replay_mismatch")
        {
            return request.Varies ? "the broken stream was said differently elsewhere" : null;
        }

        if (request is { HasLogprobs: true, Stream: true } && attempts.Length > 0)
        {
            return "the broken stream holds what cannot be joined";
        }

        if (last == "deadline_reached")
        {
            return "the request's time was over";
        }

        var untried = pool.Backends.Where(backend => attempts.All(attempt => attempt.Backend != backend.Name)).ToArray();
        return untried.Length == 0 ? "every backend failed it"
            : untried.All(backend => IsOut(snapshot.For(backend.Name).Vitals, backend, snapshot.NowMs)) ? "the backends that did not fail it were out"
            : null;
    }

    /// <summary>Parked, full, without the model, or its circuit open; «just now» counts, since the snapshot is taken after the fact.</summary>
    private static bool IsOut(Vitals vitals, Backend backend, long nowMs)
    {
        var justNowMs = nowMs - 1_000;
        return vitals.ParkedUntilMs > justNowMs || vitals.OpenUntilMs > justNowMs || vitals.Misconfigured || vitals.Circuit != CircuitState.Closed
            || vitals.InFlight >= backend.MaxConnections || vitals.AbsentModels is { } absent && absent.Values.Any(untilMs => untilMs > justNowMs);
    }
}
