namespace Roadbalancer.Proxy;

/// <summary>Where a request may go after an attempt.</summary>
internal enum NextStep
{
    /// <summary>Nowhere: the client has its answer, or gets this one as it is.</summary>
    Stop,

    /// <summary>To another backend; where none of the same priority is left, once more to the same one after a backoff.</summary>
    AnyBackend,

    /// <summary>To another backend only.</summary>
    OtherBackend,

    /// <summary>To a backend of a worse priority only (it may have the larger model).</summary>
    WorsePriority,
}

/// <summary>What an attempt says about its backend.</summary>
internal enum Blame
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>It works: failure counts start over.</summary>
    Praise,

    /// <summary>It failed: counts towards the circuit.</summary>
    Failure,

    /// <summary>It is to be left alone for as long as it said; not a failure.</summary>
    Park,

    /// <summary>It is to be left alone for long; not a failure.</summary>
    ParkLong,

    /// <summary>Its configuration is wrong; out until a probe or a request passes.</summary>
    Misconfigured,

    /// <summary>It does not have this model; others are not affected.</summary>
    ModelAbsent,
}

/// <summary>The one place that says what follows from each <see cref="OutcomeKind"/>. <c>docs/failure-handling.md</c> shows it as a table; a test holds the two together.</summary>
internal static class OutcomeTable
{
    public static (NextStep Next, Blame Blame) For(OutcomeKind kind) => kind switch
    {
        OutcomeKind.Succeeded => (NextStep.Stop, Blame.Praise),
        OutcomeKind.ConnectFailed => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.ConnectionReset => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.TimedOut => (NextStep.OtherBackend, Blame.Failure),
        OutcomeKind.FirstTokenTimedOut => (NextStep.OtherBackend, Blame.Failure),
        OutcomeKind.RateLimited => (NextStep.AnyBackend, Blame.Park),
        OutcomeKind.QuotaExhausted => (NextStep.OtherBackend, Blame.ParkLong),
        OutcomeKind.Overloaded => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.ServerError => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.BadCredentials => (NextStep.OtherBackend, Blame.Misconfigured),
        OutcomeKind.NotPermitted => (NextStep.OtherBackend, Blame.None),
        OutcomeKind.ModelAbsent => (NextStep.OtherBackend, Blame.ModelAbsent),
        OutcomeKind.CallerFault => (NextStep.Stop, Blame.None),
        OutcomeKind.ContextTooLong => (NextStep.WorsePriority, Blame.None),
        OutcomeKind.ContentFiltered => (NextStep.Stop, Blame.None),
        OutcomeKind.AnswerMalformed => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.StreamBroken => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.StreamStalled => (NextStep.OtherBackend, Blame.Failure),
        OutcomeKind.StreamMalformed => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.InBandError => (NextStep.AnyBackend, Blame.Failure),
        OutcomeKind.ReplayMismatch => (NextStep.Stop, Blame.None),
        OutcomeKind.PrefixRefused => (NextStep.AnyBackend, Blame.None),
        OutcomeKind.ClientLeft => (NextStep.Stop, Blame.None),
        OutcomeKind.Superseded => (NextStep.Stop, Blame.None),
        OutcomeKind.DeadlineReached => (NextStep.Stop, Blame.None),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "An outcome without a row in the table."),
    };
}
