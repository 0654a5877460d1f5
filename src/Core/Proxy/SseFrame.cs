namespace Roadbalancer.Proxy;

/// <summary>Where one server-sent event lies in a buffer (WHATWG HTML, «Server-sent events», 9.2.6; lines end in LF or CRLF).</summary>
internal readonly struct SseFrame
{
    /// <summary>Bytes from the start of the buffer to the end of the blank line.</summary>
    public int Length { get; private init; }

    /// <summary>Start of the first <c>data</c> line's value.</summary>
    public int DataStart { get; private init; }

    /// <summary>Length of the first <c>data</c> line's value; 0 without one.</summary>
    public int DataLength { get; private init; }

    /// <summary>How many <c>data</c> lines there are; more than one is joined by <see cref="JoinData"/>.</summary>
    public int DataLines { get; private init; }

    /// <summary>Finds the first whole event in <paramref name="buffer"/>; false when more bytes are needed.</summary>
    public static bool TryRead(ReadOnlySpan<byte> buffer, out SseFrame frame)
    {
        int at = 0, dataStart = 0, dataLength = 0, dataLines = 0;
        while (true)
        {
            var end = buffer[at..].IndexOf((byte)'\n');
            if (end < 0)
            {
                frame = default;
                return false;
            }

            var line = buffer.Slice(at, end);
            if (line is [.., (byte)'\r'])
            {
                line = line[..^1];
            }

            if (line.IsEmpty)
            {
                frame = new SseFrame { Length = at + end + 1, DataStart = dataStart, DataLength = dataLength, DataLines = dataLines };
                return true;
            }

            if (ValueOf(line, "data"u8) is { } value && dataLines++ == 0)
            {
                dataStart = at + value;
                dataLength = line.Length - value;
            }

            at += end + 1;
        }
    }

    /// <summary>
    /// Whether an event can end behind the first <paramref name="seen"/> bytes, in which none does: asked before <see cref="TryRead"/>, so that one
    /// that comes in a thousand reads is not gone through a thousand times.
    /// </summary>
    public static bool CanEnd(ReadOnlySpan<byte> buffer, int seen)
    {
        // A blank line may have begun with the last two bytes that were seen.
        var rest = buffer[Math.Max(0, seen - 2)..];
        return seen == 0 || rest.IndexOf("\n\n"u8) >= 0 || rest.IndexOf("\n\r\n"u8) >= 0;
    }

    /// <summary>All <c>data</c> lines of the event, joined by LF as the specification says. Copies: meant for the rare event with several.</summary>
    public static byte[] JoinData(ReadOnlySpan<byte> frame)
    {
        var joined = new MemoryStream();
        var isFirst = true;
        foreach (var range in frame.Split((byte)'\n'))
        {
            var line = frame[range];
            line = line is [.., (byte)'\r'] ? line[..^1] : line;
            if (ValueOf(line, "data"u8) is { } value)
            {
                if (!isFirst)
                {
                    joined.WriteByte((byte)'\n');
                }

                joined.Write(line[value..]);
                isFirst = false;
            }
        }

        return joined.ToArray();
    }

    /// <summary>Where the value of <paramref name="field"/> begins in <paramref name="line"/>; null when the line is another field's.</summary>
    private static int? ValueOf(ReadOnlySpan<byte> line, ReadOnlySpan<byte> field)
    {
        if (!line.StartsWith(field))
        {
            return null;
        }

        if (line.Length == field.Length)
        {
            return field.Length;
        }

        return line[field.Length] != (byte)':' ? null
            : line.Length > field.Length + 1 && line[field.Length + 1] == (byte)' ' ? field.Length + 2
            : field.Length + 1;
    }
}
