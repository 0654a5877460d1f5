using System.Text.Json;

namespace Roadbalancer.Simulation;

/// <summary>Steps through parts of a request body. Each method begins at a value's first token and leaves the reader at its last.</summary>
internal static class JsonWalk
{
    /// <summary>Where the text of the first part that has one is, of a content that is an array of parts.</summary>
    public static Range FirstPartText(ref Utf8JsonReader json)
    {
        Range? text = null;
        var depth = json.CurrentDepth;
        while (json.Read() && json.CurrentDepth > depth)
        {
            if (json.TokenType == JsonTokenType.PropertyName && json.ValueTextEquals("text"u8) && json.Read() && json.TokenType == JsonTokenType.String)
            {
                text ??= ((int)json.TokenStartIndex + 1)..((int)json.BytesConsumed - 1);
            }
        }

        return text ?? 0..0;
    }

    /// <summary><c>tools[0].function.name</c>, or <c>tools[0].name</c> as /v1/responses has it.</summary>
    public static byte[]? FirstToolName(ref Utf8JsonReader json)
    {
        byte[]? name = null;
        var depth = json.CurrentDepth;
        while (json.Read() && json.CurrentDepth > depth)
        {
            if (json.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            var isName = json.ValueTextEquals("name"u8);
            var isFunction = json.ValueTextEquals("function"u8);
            json.Read();
            if (isName && json.TokenType == JsonTokenType.String)
            {
                name ??= json.ValueSpan.ToArray();
            }
            else if (!isFunction)
            {
                json.Skip();
            }
        }

        return name;
    }

    /// <summary>A string as it was sent, with its quotes.</summary>
    public static ReadOnlySpan<byte> Raw(ref Utf8JsonReader json, ReadOnlySpan<byte> body) =>
        body[(int)json.TokenStartIndex..(int)json.BytesConsumed];

    /// <summary>Any value as it was sent.</summary>
    public static ReadOnlySpan<byte> RawValue(ref Utf8JsonReader json, ReadOnlySpan<byte> body)
    {
        var start = (int)json.TokenStartIndex;
        json.Skip();
        return body[start..(int)json.BytesConsumed];
    }
}
