using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Roadbalancer.Proxy;

/// <content>Choices and what their deltas say.</content>
internal partial struct StreamEvent
{
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
