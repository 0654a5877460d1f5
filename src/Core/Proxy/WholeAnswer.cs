using System.Buffers;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>
/// An answer that is not an event stream. It is read whole and checked before any of it goes out, so that a short or broken one can be had elsewhere;
/// what is larger than <see cref="UpstreamAnswer.BufferLimit"/>, or is neither JSON nor announces its length (audio, files), is passed on while it comes.
/// </summary>
internal sealed class WholeAnswer(
    Exchange exchange, Backend backend, WireHead head, AttemptClock clock, long sentAt, Stream source)
    : UpstreamAnswer(exchange, backend, head, clock, sentAt)
{
    private const int ReadSize = 16 * 1024;

    /// <summary>Reads one answer after the other, each in one go.</summary>
    [ThreadStatic]
    private static AnswerReader? _reader;

    private readonly PooledBytes _body = new();
    private readonly string? _coding = ContentCoding.Of(head.Headers);
    private PooledBytes? _plain;
    private long? _inputTokens;
    private long? _outputTokens;
    private bool _passesThrough;

    /// <summary>The answer calls itself JSON, and is checked for being it.</summary>
    public required bool IsJson { get; init; }

    private bool KeepsEncoding => _coding is null || ContentCoding.IsAccepted(Exchange.Http.Request, _coding);

    public override async ValueTask<AttemptOutcome?> PrepareAsync()
    {
        var length = Head.Length;
        _passesThrough = length > BufferLimit || (length is null && !IsJson);
        try
        {
            while (true)
            {
                var free = _body.GetMemory(length is { } known && known < BufferLimit ? (int)Math.Max(1, known - _body.Length) : ReadSize);
                var read = length > 0 && length == _body.Length ? 0 : await source.ReadAsync(free, Clock.Token);
                if (read == 0)
                {
                    _passesThrough = false;
                    return await CheckAsync();
                }

                _body.Advance(read);
                _passesThrough |= _body.Length > BufferLimit;
                if (_passesThrough)
                {
                    return null;
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            return Outcome(exception, OutcomeKind.AnswerMalformed);
        }
    }

    public override async ValueTask<AttemptOutcome> DeliverAsync()
    {
        try
        {
            return _passesThrough ? await PassThroughAsync() : await DeliverWholeAsync();
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException or HttpRequestException or InvalidDataException or InvalidOperationException)
        {
            return Exchange.ClientLeft.IsCancellationRequested ? Outcome(OutcomeKind.ClientLeft) : Outcome(exception, OutcomeKind.StreamBroken);
        }
    }

    public override void Dispose()
    {
        _body.Dispose();
        _plain?.Dispose();
        source.Dispose();
        base.Dispose();
    }

    private async ValueTask<AttemptOutcome?> CheckAsync()
    {
        if (_body.IsLarge)
        {
            await Task.Yield();
        }

        if (_coding is not null && _body.Length > 0)
        {
            _plain = await DecodeAsync(_coding);
        }

        if (!IsJson || (_coding is not null && _plain is null) || (_body.Length == 0 && IsBodyless))
        {
            return null;
        }

        var plain = _plain ?? _body;
        var facts = _reader ??= new AnswerReader();
        facts.Reset();
        facts.Feed(plain.Span);
        facts.Complete();
        (_inputTokens, _outputTokens) = (facts.InputTokens, facts.OutputTokens);
        if (!facts.IsWellFormed)
        {
            return Outcome(OutcomeKind.AnswerMalformed, "not well-formed JSON");
        }

        if (facts.HasError && Exchange.Shape != ApiShape.Responses && Exchange.Facts.Format == BodyFormat.Json)
        {
            var kind = ErrorClassifier.ClassifyInBand(plain.Span, out var detail);
            return Outcome(kind, detail);
        }

        return null;
    }

    private bool IsBodyless => Head.Status is StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent
        || HttpMethods.IsHead(Exchange.Http.Request.Method);

    /// <summary>The decoded body; null when its coding is not known here or it grows beyond all measure.</summary>
    private async ValueTask<PooledBytes?> DecodeAsync(string coding)
    {
        using var decoder = ContentCoding.Decode(coding, new PrefixedStream(_body.Memory, Stream.Null));
        if (decoder is null)
        {
            return null;
        }

        var plain = new PooledBytes();
        int read;
        while ((read = await decoder.ReadAsync(plain.GetMemory(ReadSize), Clock.Token)) > 0)
        {
            plain.Advance(read);
            if (plain.Length > BufferLimit * 4L)
            {
                plain.Dispose();
                throw new InvalidDataException("The decoded answer is too large.");
            }
        }

        return plain;
    }

    private async ValueTask<AttemptOutcome> DeliverWholeAsync()
    {
        var body = KeepsEncoding || _plain is null ? _body : _plain;
        WriteHead(IsBodyless ? null : body.Length, keepEncoding: body == _body);
        var outcome = Outcome(OutcomeKind.Succeeded) with { InputTokens = _inputTokens, OutputTokens = _outputTokens };
        if (body.Length > 0)
        {
            await Exchange.Http.Response.Body.WriteAsync(body.Memory, Exchange.ClientLeft);
        }

        return outcome;
    }

    private async ValueTask<AttemptOutcome> PassThroughAsync()
    {
        var decoder = KeepsEncoding ? null : ContentCoding.Decode(_coding!, new PrefixedStream(_body.Memory, source));
        WriteHead(decoder is null ? Head.Length : null, keepEncoding: decoder is null);
        var client = Exchange.Http.Response.BodyWriter;
        if (decoder is null)
        {
            client.Write(_body.Span);
        }

        var upstream = decoder ?? source;
        while (true)
        {
            var flushed = await client.FlushAsync(Exchange.ClientLeft);
            if (flushed.IsCompleted || flushed.IsCanceled)
            {
                return Outcome(OutcomeKind.ClientLeft);
            }

            Clock.Arm(Exchange.Audible(Backend.StreamIdleTimeout), OutcomeKind.StreamStalled);
            var read = await upstream.ReadAsync(client.GetMemory(ReadSize), Clock.Token);
            if (read == 0)
            {
                return Outcome(OutcomeKind.Succeeded);
            }

            client.Advance(read);
        }
    }
}
