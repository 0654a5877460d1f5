namespace Roadbalancer.Proxy;

/// <summary>What became of one attempt: the stage it reached and whose doing it was. <see cref="OutcomeTable"/> says what follows from each.</summary>
internal enum OutcomeKind
{
    /// <summary>The whole answer arrived and was whole; also a probe that passed.</summary>
    Succeeded,

    /// <summary>No connection: refused, unreachable, TLS or DNS failed, or it took longer than <c>connect_timeout</c>. Nothing was sent.</summary>
    ConnectFailed,

    /// <summary>The connection broke before the answer's headers.</summary>
    ConnectionReset,

    /// <summary>No headers within <c>timeout</c>, or an answer that is not a stream was not whole by then.</summary>
    TimedOut,

    /// <summary>Headers of a stream but no first event within <c>ttft_timeout</c>.</summary>
    FirstTokenTimedOut,

    /// <summary>429: too many requests for now.</summary>
    RateLimited,

    /// <summary>429, 402, 403 or 400 that says that quota or balance is used up.</summary>
    QuotaExhausted,

    /// <summary>503 or 529.</summary>
    Overloaded,

    /// <summary>Any other 5xx, and 408.</summary>
    ServerError,

    /// <summary>401 or 403: the backend refuses our credentials.</summary>
    BadCredentials,

    /// <summary>401 or 403 on a route that asks no model for anything: the key lacks a right, which says nothing of the backend.</summary>
    NotPermitted,

    /// <summary>404 (some say 400 or 403) that says that this backend does not have the model.</summary>
    ModelAbsent,

    /// <summary>Any other 4xx: the request itself is at fault.</summary>
    CallerFault,

    /// <summary>400 that says that the request is longer than the model's context.</summary>
    ContextTooLong,

    /// <summary>400 that says that a content filter refused the request.</summary>
    ContentFiltered,

    /// <summary>An answer that is not a stream was shorter than announced, or was not the JSON it claimed to be.</summary>
    AnswerMalformed,

    /// <summary>A stream ended or was cut before it was complete.</summary>
    StreamBroken,

    /// <summary>A stream fell silent for longer than <c>stream_idle_timeout</c>.</summary>
    StreamStalled,

    /// <summary>A stream that had nothing usable in it.</summary>
    StreamMalformed,

    /// <summary>A stream carried an error event.</summary>
    InBandError,

    /// <summary>Asked to say a broken stream's answer again, the backend said something else; it did nothing wrong.</summary>
    ReplayMismatch,

    /// <summary>Asked to go on from a half-finished answer, the backend declined the form of the request; it is asked for a replay instead.</summary>
    PrefixRefused,

    /// <summary>The client went away.</summary>
    ClientLeft,

    /// <summary>Another attempt at the same request answered first.</summary>
    Superseded,

    /// <summary>The request's own time was over.</summary>
    DeadlineReached,
}

/// <summary>The result of one attempt, as it is logged, counted and settled.</summary>
internal sealed record AttemptOutcome(OutcomeKind Kind)
{
    /// <summary>The upstream's HTTP status; 0 when there was none.</summary>
    public int Status { get; init; }

    /// <summary>From sending to the end of the answer (or to the failure), in milliseconds.</summary>
    public double DurationMs { get; init; }

    /// <summary>From sending to a stream's first event, in milliseconds; null for anything but a stream that began.</summary>
    public double? FirstTokenMs { get; init; }

    /// <summary>Prompt tokens as the answer's <c>usage</c> reports them; null when it reports none.</summary>
    public long? InputTokens { get; init; }

    /// <summary>Completion tokens as the answer's <c>usage</c> reports them; null when it reports none.</summary>
    public long? OutputTokens { get; init; }

    /// <summary>How long the backend asked to be left alone; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>A few words for operators, free of secrets, URLs and content; null on success.</summary>
    public string? Detail { get; init; }
}
