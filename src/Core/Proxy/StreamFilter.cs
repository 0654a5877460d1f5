using System.Buffers;

namespace Roadbalancer.Proxy;

/// <summary>How an answer relates to what its client already has.</summary>
internal enum JoinMode
{
    /// <summary>It is the first.</summary>
    None,

    /// <summary>It says everything again: what the client has is compared and left out.</summary>
    Replay,

    /// <summary>It goes on where the client's text ends.</summary>
    Continue,
}

/// <summary>
/// Turns the events of one upstream answer into those that the client gets: good events as they came, byte for byte; malformed ones dropped and
/// counted; a joined answer cut where the client's text ends and put under the first answer's identity. Until <see cref="Commit"/> it changes
/// nothing of the <see cref="ClientStream"/>, so that an attempt that comes to nothing leaves no trace.
/// </summary>
internal sealed partial class StreamFilter(ClientStream client, JoinMode join) : IDisposable
{
    private readonly DeltaLog _event = new();
    private readonly DeltaLog _pending = new();
    private int _channel = join == JoinMode.Continue ? client.Log.Channel : DeltaLog.NoChannel;
    private int _replayed;
    private bool _joined = join == JoinMode.None;
    private bool _committed;
    private bool _opaque;
    private int _events;
    private int _unfinished;
    private UInt128 _finished;
    private byte[] _id = [];
    private byte[] _created = [];
    private byte[] _model = [];

    /// <summary>The answer (or, joined, its new part) has begun: text, a tool call or a <c>finish_reason</c> has passed.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>A replay has said some of what the client has.</summary>
    public bool HasMatched => _replayed > 0;

    /// <summary>An error event came; nothing after it is read.</summary>
    public bool HasError { get; private set; }

    /// <summary>A copy of the error event's JSON, for its class; empty without one.</summary>
    public byte[] ErrorJson { get; private set; } = [];

    /// <summary>A replay said something else than the client has.</summary>
    public bool HasMismatch { get; private set; }

    /// <summary><c>[DONE]</c> has passed.</summary>
    public bool IsDone { get; private set; }

    public bool IsTerminal { get; private set; }

    /// <summary>Choices whose <c>finish_reason</c> has passed; one that comes twice counts once.</summary>
    public int FinishedChoices => (int)UInt128.PopCount(_finished);

    /// <summary>Events that were dropped because they were not JSON.</summary>
    public int Malformed { get; private set; }

    public long? InputTokens { get; private set; }

    public long? OutputTokens { get; private set; }

    /// <summary>The answer says of itself that it is whole.</summary>
    public bool IsComplete => client.Shape switch
    {
        ApiShape.Chat or ApiShape.Completion => FinishedChoices >= Math.Min(client.Choices, 128),
        ApiShape.Responses => IsTerminal,
        _ => true,
    };

    /// <summary>Passes every whole event in <paramref name="input"/> on to <paramref name="output"/>; returns how many bytes are used up.</summary>
    /// <param name="input">Begins with what the call before left over.</param>
    public int Pass(ReadOnlySpan<byte> input, IBufferWriter<byte> output)
    {
        if (!SseFrame.CanEnd(input, _unfinished))
        {
            _unfinished = input.Length;
            return 0;
        }

        var used = 0;
        while (!HasError && !HasMismatch && !IsDone && SseFrame.TryRead(input[used..], out var frame))
        {
            PassFrame(input.Slice(used, frame.Length), frame, output);
            used += frame.Length;
        }

        _unfinished = input.Length - used;
        return used;
    }

    /// <summary>At the upstream's end: what is left without a closing blank line counts as an event; a missing <c>[DONE]</c> is supplied.</summary>
    public void End(ReadOnlySpan<byte> rest, IBufferWriter<byte> output)
    {
        if (!rest.IsEmpty)
        {
            Pass([.. rest, (byte)'\n', (byte)'\n'], output);
        }

        Close(output);
    }

    /// <summary>Supplies a missing <c>[DONE]</c> to an answer that is whole.</summary>
    public void Close(IBufferWriter<byte> output)
    {
        if (!IsDone && !HasError && !HasMismatch && IsComplete && client.Shape is ApiShape.Chat or ApiShape.Completion)
        {
            output.Write("data: [DONE]\n\n"u8);
            IsDone = true;
        }
    }

    /// <summary>From here on everything passed goes to the client: takes over what was held back until now.</summary>
    public void Commit()
    {
        _committed = true;
        client.Started = true;
        client.Log.Add(_pending);
        client.IsOpaque |= _opaque;
        client.Events += _events;
        client.FinishedChoices = FinishedChoices;
        if (join == JoinMode.None)
        {
            client.Id = _id;
            client.Created = _created;
            client.Model = _model;
        }
    }

    public void Dispose()
    {
        _event.Dispose();
        _pending.Dispose();
    }

    private void PassFrame(ReadOnlySpan<byte> bytes, SseFrame frame, IBufferWriter<byte> output)
    {
        if (frame.DataLines == 0)
        {
            // Comments and bare fields: keep-alives. They belong to an answer that the client sees from its beginning only.
            Emit(bytes, output, when: _joined);
            return;
        }

        var json = frame.DataLines == 1 ? bytes.Slice(frame.DataStart, frame.DataLength) : SseFrame.JoinData(bytes);
        if (json.SequenceEqual("[DONE]"u8))
        {
            // Without a finish_reason it is a claim, not an end: the caller sees that the answer is not complete.
            IsDone = true;
            Emit(bytes, output, when: IsComplete);
            return;
        }

        _event.Restart(_channel);
        if (!StreamEvent.TryRead(json, client.Shape, _event, out var streamEvent))
        {
            if (client.Shape == ApiShape.Other)
            {
                HasBegun = true;
                Emit(bytes, output, when: true);
            }
            else
            {
                Malformed++;
            }

            return;
        }

        if (streamEvent.IsError && !(streamEvent.IsTerminal && HasBegun))
        {
            HasError = true;
            ErrorJson = json.ToArray();
            return;
        }

        InputTokens = streamEvent.InputTokens ?? InputTokens;
        OutputTokens = streamEvent.OutputTokens ?? OutputTokens;
        PassEvent(bytes, frame.DataLines == 1 ? frame.DataStart : -1, streamEvent, output);
    }

    private void PassEvent(ReadOnlySpan<byte> bytes, int jsonStart, in StreamEvent streamEvent, IBufferWriter<byte> output)
    {
        var overlap = 0;
        if (!_joined)
        {
            if (!TryMatch(streamEvent, out overlap))
            {
                HasMismatch = true;
                return;
            }

            var isCaughtUp = join == JoinMode.Continue || _replayed == client.Log.Length;
            var says = _event.Length > overlap || streamEvent.Finished != 0 || (overlap == 0 && streamEvent.HasContent && isCaughtUp);
            if (!says)
            {
                _channel = _event.Channel;
                return;
            }

            _joined = true;
        }

        if (join == JoinMode.None)
        {
            Emit(bytes, output, when: true);
        }
        else if (!TryEmitJoined(bytes, jsonStart, streamEvent, overlap, output))
        {
            HasMismatch = true;
            return;
        }

        Note(bytes, jsonStart, streamEvent, overlap);
    }

    private void Note(ReadOnlySpan<byte> bytes, int jsonStart, in StreamEvent streamEvent, int overlap)
    {
        _channel = _event.Channel;
        HasBegun |= streamEvent.HasContent || streamEvent.Finished != 0 || streamEvent.IsTerminal || client.Shape == ApiShape.Other;
        IsTerminal |= streamEvent.IsTerminal;
        _finished |= streamEvent.Finished;
        var log = _committed ? client.Log : _pending;
        if (overlap > 0)
        {
            _event.DropStart(overlap);
        }

        log.Add(_event);
        if (_committed)
        {
            client.Events += streamEvent.HasContent ? 1 : 0;
            client.IsOpaque |= streamEvent.IsOpaque;
            client.FinishedChoices = FinishedChoices;
        }
        else
        {
            _events += streamEvent.HasContent ? 1 : 0;
            _opaque |= streamEvent.IsOpaque;
        }

        if (join == JoinMode.None && jsonStart >= 0)
        {
            Keep(ref _id, bytes, jsonStart, streamEvent.Id);
            Keep(ref _created, bytes, jsonStart, streamEvent.Created);
            Keep(ref _model, bytes, jsonStart, streamEvent.Model);
        }
    }

    /// <summary>The first value that says something: Azure's first event has an empty <c>id</c>, an empty <c>model</c> and <c>0</c> for <c>created</c>.</summary>
    private static void Keep(ref byte[] kept, ReadOnlySpan<byte> bytes, int jsonStart, TokenRange range)
    {
        if (kept.Length <= 2 && range.Length > kept.Length)
        {
            kept = bytes.Slice(jsonStart + range.Start, range.Length).ToArray();
        }
    }

    private static void Emit(ReadOnlySpan<byte> bytes, IBufferWriter<byte> output, bool when)
    {
        if (when)
        {
            output.Write(bytes);
        }
    }
}
