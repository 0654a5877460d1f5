using System.Text.Json;

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
internal partial struct StreamEvent
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
}
