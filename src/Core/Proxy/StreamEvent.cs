using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Roadbalancer.Proxy;

/// <summary>A value's place in an event's JSON; a string's includes its quotes. Empty when absent.</summary>
internal readonly record struct TokenRange(int Start, int Length)
{
    public bool IsEmpty => Length == 0;
}

/// <summary>
/// What the proxy needs to know of one streamed event, read in one pass without a DOM. Its text goes to a <see cref="DeltaLog"/>.
/// Sources: OpenAI API reference, «The chat completion chunk object» and «Streaming events» (responses).
/// </summary>
internal struct StreamEvent
{
    /// <summary>The event is an error: a top-level <c>error</c>, or the responses API's <c>error</c> event.</summary>
    public bool IsError { get; private set; }

    /// <summary>It carries some of the answer: text, reasoning, a refusal or a tool call.</summary>
    public bool HasContent { get; private set; }

    /// <summary>The API's own last event (responses).</summary>
    public bool IsTerminal { get; private set; }

    /// <summary>The choices that have their <c>finish_reason</c> in this event, one bit each (as in <see cref="DeltaLog"/> the 129th counts as the first).</summary>
    public UInt128 Finished { get; private set; }

    /// <summary>It carries something that a <see cref="DeltaLog"/> cannot hold, so a stream with it cannot be joined inside it.</summary>
    public bool IsOpaque { get; private set; }

    /// <summary>How many pieces of text it carries; with exactly one, <see cref="Text"/> can be cut.</summary>
    public int Texts { get; private set; }

    public TokenRange Text { get; private set; }

    public TokenRange Id { get; private set; }

    public TokenRange Created { get; private set; }

    public TokenRange Model { get; private set; }

    public long? InputTokens { get; private set; }

    public long? OutputTokens { get; private set; }

    /// <summary>Reads <paramref name="json"/>; false when it is not one well-formed JSON object. <paramref name="log"/> then holds nothing to be used.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, ApiShape shape, DeltaLog log, out StreamEvent streamEvent)
    {
        streamEvent = default;
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            streamEvent.ReadTop(ref reader, shape, log);
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The latter: half a surrogate pair in a name that is compared.
            return false;
        }
    }

    private static TokenRange Range(ref Utf8JsonReader reader) => new((int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex));

    private void ReadTop(ref Utf8JsonReader reader, ApiShape shape, DeltaLog log)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                ReadChoices(ref reader, log);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                reader.Read();
                IsError |= reader.TokenType != JsonTokenType.Null;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                Id = ReadRange(ref reader);
            }
            else if (reader.ValueTextEquals("created"u8))
            {
                Created = ReadRange(ref reader);
            }
            else if (reader.ValueTextEquals("model"u8))
            {
                Model = ReadRange(ref reader);
            }
            else if (shape == ApiShape.Responses && reader.ValueTextEquals("type"u8))
            {
                ReadType(ref reader);
            }
            else if (shape == ApiShape.Responses && reader.ValueTextEquals("response"u8))
            {
                ReadResponse(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        IsOpaque |= shape is ApiShape.Responses or ApiShape.Other;
    }

    private static TokenRange ReadRange(ref Utf8JsonReader reader)
    {
        reader.Read();
        var range = reader.TokenType is JsonTokenType.String or JsonTokenType.Number ? Range(ref reader) : default;
        reader.Skip();
        return range;
    }

    private void ReadType(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            reader.Skip();
            return;
        }

        IsError |= reader.ValueTextEquals("error"u8);
        IsTerminal = reader.ValueTextEquals("response.completed"u8) || reader.ValueTextEquals("response.incomplete"u8)
            || reader.ValueTextEquals("response.failed"u8);
        IsError |= reader.ValueTextEquals("response.failed"u8);
        HasContent |= reader.ValueSpan.EndsWith(".delta"u8);
    }

    private void ReadResponse(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("usage"u8))
            {
                ReadUsage(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private void ReadUsage(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isInput = reader.ValueTextEquals("prompt_tokens"u8) || reader.ValueTextEquals("input_tokens"u8);
            var isOutput = reader.ValueTextEquals("completion_tokens"u8) || reader.ValueTextEquals("output_tokens"u8);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var tokens) && tokens >= 0)
            {
                InputTokens = isInput ? tokens : InputTokens;
                OutputTokens = isOutput ? tokens : OutputTokens;
            }

            reader.Skip();
        }
    }

    private void ReadChoices(ref Utf8JsonReader reader, DeltaLog log)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                ReadChoice(ref reader, log);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadChoice(ref Utf8JsonReader reader, DeltaLog log)
    {
        // The index may stand behind the delta, and the delta's text needs it: note where the delta is, read it last.
        var choice = 0;
        Utf8JsonReader delta = default;
        var hasDelta = false;
        var isFinished = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("delta"u8) || reader.ValueTextEquals("text"u8))
            {
                reader.Read();
                delta = reader;
                hasDelta = true;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                choice = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var index) ? index & 0x7F : 0;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("finish_reason"u8))
            {
                reader.Read();
                isFinished = reader.TokenType == JsonTokenType.String;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("logprobs"u8))
            {
                reader.Read();
                IsOpaque |= reader.TokenType != JsonTokenType.Null;
                reader.Skip();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        Finished |= isFinished ? UInt128.One << choice : 0;
        if (hasDelta && delta.TokenType == JsonTokenType.String)
        {
            AddText(ref delta, log, choice, DeltaField.Content, 0);
        }
        else if (hasDelta && delta.TokenType == JsonTokenType.StartObject)
        {
            ReadDelta(ref delta, log, choice);
        }
    }

    private void ReadDelta(ref Utf8JsonReader reader, DeltaLog log, int choice)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            DeltaField? field =
                reader.ValueTextEquals("content"u8) ? DeltaField.Content
                : reader.ValueTextEquals("reasoning_content"u8) || reader.ValueTextEquals("reasoning"u8) ? DeltaField.Reasoning
                : reader.ValueTextEquals("refusal"u8) ? DeltaField.Refusal
                : null;
            var isCalls = reader.ValueTextEquals("tool_calls"u8);
            var isCall = reader.ValueTextEquals("function_call"u8);
            var isRole = reader.ValueTextEquals("role"u8);
            reader.Read();
            if (field is { } known && reader.TokenType == JsonTokenType.String)
            {
                AddText(ref reader, log, choice, known, 0);
            }
            else if (isCalls && reader.TokenType == JsonTokenType.StartArray)
            {
                ReadToolCalls(ref reader, log, choice);
            }
            else if (isCall && reader.TokenType == JsonTokenType.StartObject)
            {
                ReadFunction(ref reader, log, choice, 0);
            }
            else if (!isRole && reader.TokenType is not (JsonTokenType.Null or JsonTokenType.False))
            {
                HasContent = true;
                IsOpaque = true;
                reader.Skip();
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadToolCalls(ref Utf8JsonReader reader, DeltaLog log, int choice)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            HasContent = true;
            var ordinal = 0;
            var hasId = false;
            var textsBefore = Texts;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isIndex = reader.ValueTextEquals("index"u8);
                var isFunction = reader.ValueTextEquals("function"u8);
                var isId = reader.ValueTextEquals("id"u8);
                reader.Read();
                hasId |= isId && reader.TokenType == JsonTokenType.String;
                if (isIndex && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var index))
                {
                    ordinal = index & 0x1F;
                }
                else if (isFunction && reader.TokenType == JsonTokenType.StartObject)
                {
                    ReadFunction(ref reader, log, choice, ordinal);
                }
                else
                {
                    reader.Skip();
                }
            }

            // A call that is announced without a word of it: the log would not know that the client has it.
            IsOpaque |= hasId && Texts == textsBefore;
        }
    }

    private void ReadFunction(ref Utf8JsonReader reader, DeltaLog log, int choice, int ordinal)
    {
        HasContent = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isName = reader.ValueTextEquals("name"u8);
            var isArguments = reader.ValueTextEquals("arguments"u8);
            reader.Read();
            if ((isName || isArguments) && reader.TokenType == JsonTokenType.String)
            {
                AddText(ref reader, log, choice, isName ? DeltaField.ToolName : DeltaField.ToolArguments, ordinal);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void AddText(ref Utf8JsonReader reader, DeltaLog log, int choice, DeltaField field, int ordinal)
    {
        if (reader.ValueSpan.IsEmpty)
        {
            return;
        }

        HasContent = true;
        Texts++;
        Text = Range(ref reader);
        if (!Utf8.IsValid(reader.ValueSpan))
        {
            // The reader lets it pass; what is written anew from the log must not.
            IsOpaque = true;
            return;
        }

        if (!reader.ValueIsEscaped)
        {
            log.Append(choice, field, ordinal, reader.ValueSpan);
            return;
        }

        var plain = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            var length = reader.CopyString(plain);
            log.Append(choice, field, ordinal, plain.AsSpan(0, length));
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: legal JSON that has no UTF-8. The event passes as it is, but cannot be compared.
            IsOpaque = true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(plain);
        }
    }
}
