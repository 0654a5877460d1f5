using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Roadbalancer.Backends;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>
/// A streamed answer (<c>text/event-stream</c>). It is held back until its first real event, so that an error, an empty stream or silence can still
/// be mended elsewhere; from then on each read is passed on and flushed at once, in whole events.
/// </summary>
internal sealed class StreamAnswer(
    Exchange exchange, Backend backend, WireHead head, AttemptClock clock, long sentAt, Stream source, JoinMode join)
    : UpstreamAnswer(exchange, backend, head, clock, sentAt)
{
    /// <summary>The most that is held back while no content has come, in bytes.</summary>
    public const int PreludeLimit = 64 * 1024;

    /// <summary>The largest single event, in bytes.</summary>
    public const int EventLimit = 16 * 1024 * 1024;

    private const int ReadSize = 4096;

    /// <summary>How long a stream that is complete may take to say so with <c>[DONE]</c> or by ending.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly StreamFilter _filter = new(exchange.Stream, join);
    private readonly PooledBytes _input = new();
    private readonly PooledBytes _prelude = new();
    private double? _firstTokenMs;
    private bool _ended;

    /// <summary>Events that were dropped because they were not JSON.</summary>
    public int Malformed => _filter.Malformed;

    public override async ValueTask<AttemptOutcome?> PrepareAsync()
    {
        var whole = Exchange.Pool.Options.StreamRecovery == Options.StreamRecovery.Buffer && join == JoinMode.None;
        try
        {
            while (true)
            {
                var more = await ReadAsync();
                if (Pass(_prelude, more) is { } failure)
                {
                    return failure;
                }

                if (_ended)
                {
                    // The whole stream in one read: its first token came with its last.
                    _firstTokenMs ??= _filter.HasBegun ? SinceSent.TotalMilliseconds : null;
                    return null;
                }

                if (_filter.HasBegun || (join == JoinMode.None && _prelude.Length > PreludeLimit))
                {
                    _firstTokenMs ??= SinceSent.TotalMilliseconds;
                    if (!whole || _prelude.Length > BufferLimit)
                    {
                        return null;
                    }
                }

                if (_filter.HasBegun || _filter.HasMatched)
                {
                    // Under way: what comes next, or what is said again, may take long; only silence ends it.
                    Clock.Arm(Backend.StreamIdleTimeout, OutcomeKind.StreamStalled);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            return WithUsage(Outcome(exception, OutcomeKind.StreamBroken));
        }
    }

    public override async ValueTask<AttemptOutcome> DeliverAsync()
    {
        WriteHead(length: null, keepEncoding: false);
        _filter.Commit();
        var client = Exchange.Http.Response.BodyWriter;
        client.Write(_prelude.Span);
        _prelude.Dispose();
        AttemptOutcome outcome;
        try
        {
            outcome = await RelayAsync(client);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            outcome = Exchange.ClientLeft.IsCancellationRequested ? Outcome(OutcomeKind.ClientLeft)
                : _filter.IsComplete && Exchange.Shape != ApiShape.Other ? Outcome(OutcomeKind.Succeeded)
                : Outcome(exception, OutcomeKind.StreamBroken);
        }

        if (outcome.Kind == OutcomeKind.Succeeded)
        {
            await FinishAsync(client);
        }

        return WithUsage(outcome);
    }

    public override void Dispose()
    {
        _filter.Dispose();
        _input.Dispose();
        _prelude.Dispose();
        source.Dispose();
        base.Dispose();
    }

    private async ValueTask<AttemptOutcome> RelayAsync(PipeWriter client)
    {
        while (true)
        {
            var flushed = await client.FlushAsync(Exchange.ClientLeft);
            if (flushed.IsCompleted || flushed.IsCanceled)
            {
                return Outcome(OutcomeKind.ClientLeft);
            }

            if (_ended)
            {
                return Outcome(OutcomeKind.Succeeded);
            }

            Exchange.KeepAlive?.Heard();
            Clock.Arm(IsFinishing ? Grace : LongestSilence, OutcomeKind.StreamStalled);
            var more = await Exchange.WaitAsync(ReadAsync());
            if (Pass(client, more) is { } failure)
            {
                await client.FlushAsync(Exchange.ClientLeft);
                return failure;
            }
        }
    }

    private TimeSpan LongestSilence => Exchange.KeepAlive is null ? Exchange.Audible(Backend.StreamIdleTimeout) : Backend.StreamIdleTimeout;

    private bool IsFinishing => _filter.IsComplete && Exchange.Shape != ApiShape.Other;

    /// <remarks>A stream that waits holds no buffer here: of thousands, nearly all wait.</remarks>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReadAsync()
    {
        if (_input.Length == 0 && source is WireBody body)
        {
            _input.Dispose();
            await body.WaitAsync();
        }

        var read = await source.ReadAsync(_input.GetMemory(ReadSize), Clock.Token);
        _input.Advance(read);
        return read > 0;
    }

    /// <summary>Passes on what has come; a failure ends the attempt. Sets <see cref="_ended"/> when the answer is whole.</summary>
    private AttemptOutcome? Pass(IBufferWriter<byte> output, bool more)
    {
        if (more)
        {
            _input.Use(_filter.Pass(_input.Span, output));
        }
        else
        {
            _filter.End(_input.Span, output);
        }

        if (_filter.HasMismatch)
        {
            return WithUsage(Outcome(OutcomeKind.ReplayMismatch));
        }

        if (_filter.HasError)
        {
            var kind = ErrorClassifier.ClassifyInBand(_filter.ErrorJson, out var detail);
            return WithUsage(Outcome(kind, detail));
        }

        if (more && !_filter.IsDone)
        {
            return _input.Length <= EventLimit ? null : WithUsage(Outcome(OutcomeKind.StreamMalformed, "event too large"));
        }

        if (_filter.IsComplete && (_filter.HasBegun || Exchange.Shape == ApiShape.Other))
        {
            _ended = true;
            return null;
        }

        return WithUsage(_filter.HasBegun || _filter.HasMatched
            ? Outcome(OutcomeKind.StreamBroken, "ended without finish_reason")
            : Outcome(OutcomeKind.StreamMalformed, "ended without content"));
    }

    /// <summary>Ends the client's answer, then reads the upstream's own end so that its connection can serve again.</summary>
    private async ValueTask FinishAsync(PipeWriter client)
    {
        try
        {
            _filter.Close(client);
            await Exchange.Http.Response.CompleteAsync();
            Clock.Arm(TimeSpan.FromMilliseconds(250), OutcomeKind.Succeeded);
            while (await source.ReadAsync(_input.GetMemory(ReadSize), Clock.Token) > 0)
            {
                // What follows [DONE] is nobody's.
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            // The answer is whole: a connection that does not end in time is closed with the response.
        }
    }

    private AttemptOutcome WithUsage(AttemptOutcome outcome) => outcome with
    {
        FirstTokenMs = _firstTokenMs,
        InputTokens = _filter.InputTokens,
        OutputTokens = _filter.OutputTokens,
    };
}
