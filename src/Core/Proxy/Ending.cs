using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;

namespace Roadbalancer.Proxy;

/// <summary>How a request ends: remembers what its attempts came to, and tells the client when none of them answered.</summary>
internal sealed class Ending(Exchange exchange)
{
    private AttemptOutcome? _last;
    private AttemptOutcome? _told;
    private SavedAnswer? _saved;
    private SavedAnswer? _tooLong;
    private TimeSpan? _soonest;

    /// <summary>The client has its answer, or is gone.</summary>
    public bool IsOver => _last is { Kind: OutcomeKind.Succeeded or OutcomeKind.ClientLeft };

    /// <summary>Neither answered nor at fault itself (a request whose answer had begun was not): what operators want to hear about.</summary>
    public bool IsLost => !IsOver && (exchange.HasStarted || _last is not
    {
        Kind: OutcomeKind.CallerFault or OutcomeKind.ContextTooLong or OutcomeKind.ContentFiltered
    });

    /// <summary>The last outcome's name, or <c>refused</c> when no backend took the request.</summary>
    public string Name => _last is { } last ? Trail.NameOf(last.Kind) : "refused";

    /// <summary>What the last attempt came to; null when no backend took the request.</summary>
    public AttemptOutcome? Last => _last;

    /// <summary>The attempt that decided so far: where two raced, not the later one but the better one.</summary>
    public AttemptRecord? Decisive { get; private set; }

    /// <summary>The client left while no backend was being asked.</summary>
    public void NoteLeft() => _last = new AttemptOutcome(OutcomeKind.ClientLeft);

    public void Note(Attempt attempt, AttemptOutcome outcome)
    {
        _last = outcome;
        Decisive = attempt.Record;

        // That a model does not exist is told only when no backend could have had it.
        _told = _told is not null && outcome.Kind == OutcomeKind.ModelAbsent ? _told : outcome;
        _soonest = outcome.RetryAfter is { } wait && !(wait >= _soonest) ? wait : _soonest;
        _tooLong ??= outcome.Kind == OutcomeKind.ContextTooLong ? attempt.Saved : null;
        if (IsForClients(outcome, attempt.Saved))
        {
            _saved = attempt.Saved;
        }
    }

    /// <summary>The code of the error for a request that no backend took; null where one was asked or the client left.</summary>
    public string? ReasonOf(in Refusal refusal) => _last is null ? ErrorFor(refusal).Code : null;

    /// <summary>Sends what the client is owed: nothing when it is answered, else the error that tells most.</summary>
    /// <param name="refusal">Why no backend took the request, where none did.</param>
    /// <exception cref="TruncatedAnswerException">The answer had begun.</exception>
    public async Task WriteAsync(Refusal refusal)
    {
        if (IsOver || exchange.ClientLeft.IsCancellationRequested)
        {
            return;
        }

        if (exchange.HasStarted)
        {
            await TruncateAsync();
        }
        else if (exchange.HasSpoken)
        {
            await EndStreamAsync((_tooLong ?? _saved)?.ToError() ?? (_told is { } last ? ErrorFor(last) : ErrorFor(refusal)));
        }
        else if ((_tooLong ?? _saved) is { } saved)
        {
            await saved.WriteAsync(exchange, _soonest);
        }
        else
        {
            Trail.Write(exchange, exchange.Http.Response.Headers, backend: null);
            await (_told is { } told ? ErrorFor(told) : ErrorFor(refusal)).WriteAsync(exchange.Http, exchange.RequestId);
        }
    }

    /// <summary>
    /// Whether a backend's own words may reach the client. A refusal of our credentials is not the client's; an absent model would be named as the
    /// backend names it.
    /// </summary>
    private static bool IsForClients(AttemptOutcome outcome, SavedAnswer? saved) =>
        saved is not null
        && outcome.Kind is not (OutcomeKind.BadCredentials or OutcomeKind.NotPermitted or OutcomeKind.ModelAbsent or OutcomeKind.PrefixRefused)
        && (outcome.Kind != OutcomeKind.QuotaExhausted || saved.Status == StatusCodes.Status429TooManyRequests)
        && saved.Status >= 400;

    private async Task TruncateAsync()
    {
        if (exchange.Stream.Started)
        {
            await EndStreamAsync(new ErrorAnswer(StatusCodes.Status502BadGateway, "server_error", _last is { } last ? Trail.NameOf(last.Kind) : "stream_broken",
                _last is { Kind: OutcomeKind.DeadlineReached }
                    ? "The answer was not complete within the request's total time."
                    : "The answer broke off at the backend and could not be completed."));
        }

        throw new TruncatedAnswerException();
    }

    /// <exception cref="TruncatedAnswerException">Always: an event stream that ends in an error is cut, too.</exception>
    private async Task EndStreamAsync(ErrorAnswer error)
    {
        await exchange.Http.Response.BodyWriter.WriteAsync(error.ToEvent(exchange.Shape, exchange.RequestId), exchange.ClientLeft);
        throw new TruncatedAnswerException();
    }

    private ErrorAnswer ErrorFor(AttemptOutcome outcome) => outcome.Kind switch
    {
        OutcomeKind.ModelAbsent => ErrorAnswer.ModelNotFound(exchange.Facts.Model ?? ""),
        OutcomeKind.RateLimited => new(StatusCodes.Status429TooManyRequests, "rate_limit_error", "rate_limit_exceeded",
            "Every backend is at its rate limit.")
        { RetryAfter = outcome.RetryAfter ?? TimeSpan.FromSeconds(1) },
        OutcomeKind.QuotaExhausted => new(StatusCodes.Status429TooManyRequests, "insufficient_quota", "insufficient_quota",
            "The quota of every backend is used up.")
        { RetryAfter = outcome.RetryAfter ?? exchange.Pool.Options.QuotaPark },
        OutcomeKind.ConnectFailed => NoHealthyBackend(exchange.Pool.Options.Cooldown),
        OutcomeKind.TimedOut or OutcomeKind.FirstTokenTimedOut or OutcomeKind.StreamStalled => new(StatusCodes.Status504GatewayTimeout,
            "server_error", "backend_timeout", "The backend did not answer in time."),
        OutcomeKind.DeadlineReached => new(StatusCodes.Status504GatewayTimeout, "server_error", "deadline_exceeded",
            "The request was not answered within its total time."),
        OutcomeKind.NotPermitted => new(StatusCodes.Status403Forbidden, "invalid_request_error", "not_permitted",
            "The backends do not permit this route."),
        OutcomeKind.BadCredentials => new(StatusCodes.Status502BadGateway, "server_error", "backend_misconfigured",
            "The backend refuses the balancer's credentials; its operator has to mend that."),
        _ => new(StatusCodes.Status502BadGateway, "server_error", "bad_backend_answer", "The backend's answer was broken."),
    };

    private ErrorAnswer ErrorFor(in Refusal refusal) => refusal.Reason switch
    {
        RefusalReason.NoModel => ErrorAnswer.ModelNotFound(exchange.Facts.Model ?? ""),
        RefusalReason.NoTags => ErrorAnswer.Invalid($"No backend for this model has all of the tags '{string.Join(", ", exchange.Tags)}'.", "no_backend_with_tags", "X-Backend-Tags"),
        RefusalReason.Throttled => new(StatusCodes.Status429TooManyRequests, "rate_limit_error", "rate_limit_exceeded",
            "Every backend is at its rate limit.")
        { RetryAfter = refusal.RetryAfter ?? TimeSpan.FromSeconds(1) },
        RefusalReason.Full => new(StatusCodes.Status503ServiceUnavailable, "server_error", "backends_busy",
            "Every backend is at its limit of concurrent requests.")
        { RetryAfter = refusal.RetryAfter ?? TimeSpan.FromSeconds(1) },
        _ => NoHealthyBackend(refusal.RetryAfter ?? exchange.Pool.Options.Cooldown),
    };

    private static ErrorAnswer NoHealthyBackend(TimeSpan retryAfter) => new(StatusCodes.Status503ServiceUnavailable, "server_error",
        "no_healthy_backend", "No backend can take the request at the moment.")
    { RetryAfter = retryAfter };
}
