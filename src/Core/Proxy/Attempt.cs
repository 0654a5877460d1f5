using Roadbalancer.Health;
using Roadbalancer.State;

namespace Roadbalancer.Proxy;

/// <summary>
/// One try at one backend, in two steps so that a failure in the first can be mended elsewhere unseen: <see cref="OpenAsync"/> until there is a good
/// answer to send, <see cref="DeliverAsync"/> to send it.
/// </summary>
internal sealed class Attempt(Exchange exchange, Lease lease, Forwarder forwarder, JoinMode join) : IDisposable
{
    private readonly AttemptClock _clock = new(exchange);
    private readonly long _sentAt = exchange.Time.GetTimestamp();
    private HttpResponseMessage? _response;
    private UpstreamAnswer? _answer;

    public Lease Lease { get; } = lease;

    public AttemptRecord Record { get; } = new(lease.Backend.Name) { Join = join };

    /// <summary>The backend's error answer, where it gave one.</summary>
    public SavedAnswer? Saved { get; private set; }

    /// <summary>Events that were dropped from its stream because they were not JSON.</summary>
    public int MalformedEvents => (_answer as StreamAnswer)?.Malformed ?? 0;

    /// <summary>Null when an answer is ready to be delivered, else why there is none.</summary>
    /// <param name="canGoElsewhere">Another backend could take over, so that a slow first token is worth giving up on.</param>
    public async Task<AttemptOutcome?> OpenAsync(bool canGoElsewhere)
    {
        var backend = Lease.Backend;
        var body = BodyFor();
        if (body is null)
        {
            return Outcome(OutcomeKind.PrefixRefused, "this request cannot be continued");
        }

        ArmFirstToken(canGoElsewhere, headers: true);
        try
        {
            _response = await forwarder.SendAsync(exchange, backend, body.Value, _clock.Token);
            if ((int)_response.StatusCode >= 300)
            {
                return await ReadErrorAsync(_response);
            }

            _answer = await BeginAnswerAsync(_response);
            if (_answer is StreamAnswer)
            {
                ArmFirstToken(canGoElsewhere, headers: false);
            }
            else if (join != JoinMode.None)
            {
                // Nothing of it could be joined to the stream that the client has.
                return Outcome(OutcomeKind.StreamMalformed, "not a stream") with { Status = (int)_response.StatusCode };
            }
        }
        catch (OperationCanceledException) when (_clock.Token.IsCancellationRequested)
        {
            return Outcome(_clock.Reason);
        }
        catch (HttpRequestException exception)
        {
            return Outcome(KindOf(exception), exception.HttpRequestError.ToString());
        }
        catch (IOException exception)
        {
            return Outcome(OutcomeKind.ConnectionReset, exception.GetType().Name);
        }

        return await _answer.PrepareAsync();
    }

    public ValueTask<AttemptOutcome> DeliverAsync() => _answer!.DeliverAsync();

    /// <summary>Another attempt was faster.</summary>
    public void Supersede() => _clock.Supersede();

    public void Dispose()
    {
        _answer?.Dispose();
        _response?.Dispose();
        _clock.Dispose();
    }

    private static OutcomeKind KindOf(HttpRequestException exception) => exception.HttpRequestError switch
    {
        HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
            or HttpRequestError.ProxyTunnelError => OutcomeKind.ConnectFailed,
        _ => OutcomeKind.ConnectionReset,
    };

    private ReadOnlyMemory<byte>? BodyFor()
    {
        var body = BodyEdit.ForBackend(exchange.Body, exchange.Facts, Lease.Backend, exchange.Path);
        if (join != JoinMode.Continue)
        {
            return body;
        }

        var continued = BodyEdit.ForContinuation(exchange.Body, exchange.Facts, Lease.Backend, exchange.Path, exchange.Stream.Log.TextOf(DeltaField.Content));

        // A bare null would become an empty body: there is a conversion from arrays.
        return continued.IsEmpty ? default(ReadOnlyMemory<byte>?) : continued;
    }

    /// <summary>A stream's limit runs from sending to the first event; with nowhere else to go it is the backend's whole time-out.</summary>
    private void ArmFirstToken(bool canGoElsewhere, bool headers)
    {
        var backend = Lease.Backend;
        var isFirstToken = exchange.Facts.Stream && canGoElsewhere && backend.FirstTokenTimeout < backend.Timeout;
        var limit = isFirstToken ? backend.FirstTokenTimeout : backend.Timeout;
        var left = limit - exchange.Time.GetElapsedTime(_sentAt);
        _clock.Arm(left > TimeSpan.Zero ? left : TimeSpan.Zero, headers ? OutcomeKind.TimedOut : OutcomeKind.FirstTokenTimedOut);
    }

    private async ValueTask<UpstreamAnswer> BeginAnswerAsync(HttpResponseMessage response)
    {
        var source = await response.Content.ReadAsStreamAsync(_clock.Token);
        var isStream = response.Content.Headers.ContentType?.MediaType is { } type && type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase);
        if (!isStream)
        {
            return new WholeAnswer(exchange, Lease.Backend, response, _clock, _sentAt, source);
        }

        if (ContentCoding.Of(response) is { } coding)
        {
            source = ContentCoding.Decode(coding, source) ?? source;
        }

        return new StreamAnswer(exchange, Lease.Backend, response, _clock, _sentAt, source, join);
    }

    private async ValueTask<AttemptOutcome> ReadErrorAsync(HttpResponseMessage response)
    {
        using var body = new PooledBytes();
        try
        {
            await using var source = await response.Content.ReadAsStreamAsync(_clock.Token);
            int read;
            while (body.Length < SavedAnswer.BodyLimit && (read = await source.ReadAsync(body.GetMemory(4096), _clock.Token)) > 0)
            {
                body.Advance(read);
            }
        }
        catch (OperationCanceledException) when (_clock.Reason is OutcomeKind.ClientLeft or OutcomeKind.Superseded)
        {
            return Outcome(_clock.Reason);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException)
        {
            // The status alone tells enough; what came of the body is kept.
        }

        var kind = ErrorClassifier.Classify((int)response.StatusCode, body.Span, out var detail);
        var retryAfter = RetryAfterReader.Read(response, exchange.Time.GetUtcNow());
        Saved = new SavedAnswer(Lease.Backend.Name, response, body.Span, retryAfter);
        if (join == JoinMode.Continue && kind is OutcomeKind.CallerFault or OutcomeKind.ContextTooLong)
        {
            kind = OutcomeKind.PrefixRefused;
        }

        return Outcome(kind, detail) with
        {
            Status = (int)response.StatusCode,
            RetryAfter = retryAfter,
        };
    }

    private AttemptOutcome Outcome(OutcomeKind kind, string? detail = null) => new(kind)
    {
        DurationMs = exchange.Time.GetElapsedTime(_sentAt).TotalMilliseconds,
        Detail = detail,
    };
}
