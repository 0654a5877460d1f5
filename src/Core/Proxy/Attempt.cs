using System.Buffers;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using Roadbalancer.Health;
using Roadbalancer.State;
using Roadbalancer.Telemetry;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>
/// One try at one backend, in two steps so that a failure in the first can be mended elsewhere unseen: <see cref="OpenAsync"/> until there is a good
/// answer to send, <see cref="DeliverAsync"/> to send it.
/// </summary>
internal sealed class Attempt(Exchange exchange, Lease lease, Forwarder forwarder, JoinMode join) : IDisposable
{
    private const int LongestReason = 160;

    private readonly AttemptClock _clock = forwarder.Clocks.Begin(exchange);
    private readonly long _sentAt = exchange.Time.GetTimestamp();
    private JoinMode _join = join;
    private WireResponse? _response;
    private UpstreamAnswer? _answer;

    public Lease Lease { get; } = lease;

    /// <summary>The attempt in the request's trace; null when nobody traces it.</summary>
    public AttemptSpan? Span { get; } = exchange.Span?.BeginAttempt(exchange, lease.Backend);

    public string RequestId => exchange.RequestId;

    public AttemptRecord Record { get; } = new(lease.Backend.Name) { Join = join };

    /// <summary>The backend's error answer, where it gave one.</summary>
    public SavedAnswer? Saved { get; private set; }

    /// <summary>Events that were dropped from its stream because they were not JSON.</summary>
    public int MalformedEvents => (_answer as StreamAnswer)?.Malformed ?? 0;

    /// <summary>Null when an answer is ready to be delivered, else why there is none.</summary>
    /// <param name="canGoElsewhere">Another backend could take over, so that a slow first token is worth giving up on.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<AttemptOutcome?> OpenAsync(bool canGoElsewhere)
    {
        var backend = Lease.Backend;
        var body = BodyFor();
        ArmFirstToken(canGoElsewhere, headers: true);
        try
        {
            _response = await forwarder.SendAsync(exchange, backend, body, Span, _clock.Token);
            if (_response.Head.Status >= 300)
            {
                return await ReadErrorAsync(_response);
            }

            _answer = BeginAnswer(_response);
            if (_answer is StreamAnswer)
            {
                ArmFirstToken(canGoElsewhere, headers: false);
            }
            else if (_join != JoinMode.None)
            {
                // Nothing of it could be joined to the stream that the client has.
                return Outcome(OutcomeKind.StreamMalformed, "not a stream") with { Status = _response.Head.Status };
            }
        }
        catch (OperationCanceledException) when (_clock.Token.IsCancellationRequested)
        {
            return Outcome(_clock.Reason);
        }
        catch (HttpRequestException exception)
        {
            return Outcome(KindOf(exception), DetailOf(exception));
        }
        catch (IOException exception)
        {
            return Outcome(OutcomeKind.ConnectionReset, exception.GetType().Name);
        }

        return await _answer.PrepareAsync();
    }

    public ValueTask<AttemptOutcome> DeliverAsync() =>
        exchange.HasSpoken && _answer is not StreamAnswer ? new(Outcome(OutcomeKind.StreamMalformed, "not a stream")) : _answer!.DeliverAsync();

    /// <summary>Another attempt was faster.</summary>
    public void Supersede() => _clock.Supersede();

    public void Dispose()
    {
        _answer?.Dispose();
        _response?.Dispose();
        _clock.Dispose();
        Span?.Dispose();
    }

    /// <summary>For TLS also what the system says of the certificate, which is what its operator has to know.</summary>
    private static string DetailOf(HttpRequestException exception) => exception.InnerException is AuthenticationException { Message: var reason }
        ? $"{exception.HttpRequestError}: {(reason.Length <= LongestReason ? reason : reason[..LongestReason])}"
        : exception.HttpRequestError.ToString();

    private static OutcomeKind KindOf(HttpRequestException exception) => exception.HttpRequestError switch
    {
        HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
            or HttpRequestError.ProxyTunnelError => OutcomeKind.ConnectFailed,
        _ => OutcomeKind.ConnectionReset,
    };

    /// <summary>What the backend gets; a request that cannot be put as a continuation becomes a replay.</summary>
    private ReadOnlySequence<byte> BodyFor()
    {
        if (_join == JoinMode.Continue)
        {
            var continued = BodyEdit.ForContinuation(exchange.Body, exchange.Facts, Lease.Backend, exchange.Path, exchange.Stream.Log.TextOf(DeltaField.Content));
            if (!continued.IsEmpty)
            {
                return continued;
            }

            _join = Record.Join = JoinMode.Replay;
        }

        return BodyEdit.ForBackend(exchange.Body, exchange.Facts, Lease.Backend, exchange.Path);
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

    private UpstreamAnswer BeginAnswer(WireResponse response)
    {
        var type = AnswerTypes.Of(response.Head.Headers);
        return type == AnswerType.EventStream
            ? new StreamAnswer(exchange, Lease.Backend, response.Head, _clock, _sentAt, ContentCoding.Plain(response), _join)
            : new WholeAnswer(exchange, Lease.Backend, response.Head, _clock, _sentAt, response.Body) { IsJson = type == AnswerType.Json };
    }

    private async ValueTask<AttemptOutcome> ReadErrorAsync(WireResponse response)
    {
        using var body = new PooledBytes();
        var isWhole = false;
        try
        {
            await using var source = ContentCoding.Plain(response);
            while (!isWhole && body.Length < SavedAnswer.BodyLimit)
            {
                var read = await source.ReadAsync(body.GetMemory(4096), _clock.Token);
                body.Advance(read);
                isWhole = read == 0;
            }
        }
        catch (OperationCanceledException) when (_clock.Reason is OutcomeKind.ClientLeft or OutcomeKind.Superseded)
        {
            return Outcome(_clock.Reason);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            // The status alone tells enough; half a body is nobody's answer.
        }

        var retryAfter = RetryAfterReader.Read(response.Head.Status, response.Head.Headers, exchange.Time.GetUtcNow());
        var kind = KindOf(ErrorClassifier.Classify(response.Head.Status, body.Span, out var detail));
        Saved = isWhole ? new SavedAnswer(Lease.Backend.Name, response.Head.Status, response.Head.Headers, body.Span, retryAfter) : null;
        return Outcome(kind, detail) with
        {
            Status = response.Head.Status,
            RetryAfter = retryAfter,
        };
    }

    /// <summary>What an error answer means here, given what was asked and how.</summary>
    private OutcomeKind KindOf(OutcomeKind kind) => kind switch
    {
        OutcomeKind.CallerFault or OutcomeKind.ContextTooLong when _join == JoinMode.Continue => OutcomeKind.PrefixRefused,

        // A key without the rights for some other route is a good key all the same.
        OutcomeKind.BadCredentials when !ApiShapes.IsInference(exchange.Path) => OutcomeKind.NotPermitted,
        _ => kind,
    };

    private AttemptOutcome Outcome(OutcomeKind kind, string? detail = null) => new(kind)
    {
        DurationMs = exchange.Time.GetElapsedTime(_sentAt).TotalMilliseconds,
        Detail = detail,
    };
}
