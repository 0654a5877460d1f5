using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace Roadbalancer.Proxy;

/// <summary>Says to a client what is wrong with its JSON, and where.</summary>
internal static class JsonFault
{
    /// <summary>What a value is, with its article.</summary>
    public static string NameOf(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.Null => "null",
        _ => "a boolean",
    };

    /// <summary>What is wrong and at which byte. <paramref name="origin"/> is where the reader began.</summary>
    public static string Describe(JsonException exception, ReadOnlySpan<byte> body, int origin)
    {
        // The reader counts by line; a client that has no editor open counts bytes.
        var rest = body[origin..];
        var offset = origin + (int)(exception.BytePositionInLine ?? 0);
        for (var line = exception.LineNumber ?? 0; line > 0; line--)
        {
            var length = rest.IndexOf((byte)'\n') + 1;
            rest = rest[length..];
            offset += length;
        }

        var reason = exception.Message.AsSpan();
        var tail = reason.IndexOf(" LineNumber:", StringComparison.Ordinal);
        reason = tail < 0 ? reason : reason[..tail];
        return string.Create(CultureInfo.InvariantCulture, $"The request body is not valid JSON: {reason} See byte {offset}.");
    }

    /// <summary>The offset of the first byte that is no UTF-8; the length when all is.</summary>
    public static int FirstInvalidByte(ReadOnlySpan<byte> body)
    {
        Span<char> sink = stackalloc char[1024];
        var position = 0;
        while (position < body.Length)
        {
            var status = Utf8.ToUtf16(body[position..], sink, out var read, out _, replaceInvalidSequences: false);
            position += read;
            if (status != OperationStatus.DestinationTooSmall)
            {
                break;
            }
        }

        return position;
    }
}
