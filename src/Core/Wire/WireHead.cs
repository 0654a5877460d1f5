using System.Buffers;
using System.Buffers.Text;

namespace Roadbalancer.Wire;

/// <summary>How the end of a body is told (RFC 9112 §6.3).</summary>
internal enum BodyFraming
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>By its length.</summary>
    Length,

    /// <summary>By a last chunk.</summary>
    Chunked,

    /// <summary>By the connection's end, so that a body which breaks off looks whole.</summary>
    UntilClose,
}

/// <summary>Status line and headers of an answer.</summary>
internal sealed class WireHead
{
    /// <summary>A larger head is refused, in bytes.</summary>
    public const int Limit = 64 * 1024;

    /// <summary>More lines are refused: looking up and joining fields takes the square of their number.</summary>
    public const int MostLines = 256;

    private static readonly SearchValues<byte> _token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private bool _isOld;

    private WireHead()
    {
    }

    /// <summary>100 to 999.</summary>
    public int Status { get; private set; }

    public bool IsSuccess => Status is >= 200 and < 300;

    public WireHeaders Headers { get; } = new();

    public BodyFraming Framing { get; private set; }

    /// <summary>The body's length in bytes where it is announced, and binding.</summary>
    public long? Length { get; private set; }

    /// <summary>The connection can serve again once the body has been read.</summary>
    public bool KeepsConnection { get; private set; }

    /// <summary>How long the backend keeps the connection without use, as far as it says so in <c>Keep-Alive</c>; in seconds.</summary>
    public int? IdleLimitSeconds
    {
        get
        {
            foreach (var range in Headers.TryGet("Keep-Alive", out var text) ? text.AsSpan().Split(',') : default)
            {
                var parameter = text.AsSpan(range).Trim(" \t");
                if (parameter.StartsWith("timeout=", StringComparison.OrdinalIgnoreCase)
                    && int.TryParse(parameter["timeout=".Length..], System.Globalization.NumberStyles.None, null, out var seconds))
                {
                    return seconds;
                }
            }

            return null;
        }
    }

    /// <summary>Not the answer yet (RFC 9110 §15.2).</summary>
    public bool IsInterim => Status < 200;

    /// <summary>Reads a head from the start of <paramref name="received"/>.</summary>
    /// <param name="answersHead">The request was HEAD: the answer has no body, whatever it says.</param>
    /// <param name="used">The head's length in bytes.</param>
    /// <returns>Null: the head is not complete yet.</returns>
    /// <exception cref="HttpRequestException">It is no HTTP/1 head.</exception>
    public static WireHead? TryRead(ReadOnlySpan<byte> received, bool answersHead, out int used)
    {
        used = EndOf(received);
        if (used < 0)
        {
            return received.Length < Limit ? null : throw Malformed("too large a head");
        }

        var head = new WireHead();
        var rest = received[..used];
        head.ReadStatus(Line(ref rest));
        for (var lines = 0; Line(ref rest) is { IsEmpty: false } line; lines++)
        {
            head.ReadField(lines < MostLines ? line : throw Malformed("too many headers"));
        }

        head.Frame(answersHead);
        return head;
    }

    /// <summary>Behind the empty line; -1 when it has not come yet. A line may end without a carriage return (RFC 9112 §2.2).</summary>
    private static int EndOf(ReadOnlySpan<byte> received)
    {
        var at = 0;
        while (received[at..].IndexOf((byte)'\n') is >= 0 and var next)
        {
            at += next + 1;
            if (at < received.Length && received[at] == '\n')
            {
                return at + 1;
            }

            if (at + 1 < received.Length && received[at] == '\r' && received[at + 1] == '\n')
            {
                return at + 2;
            }
        }

        return -1;
    }

    private static ReadOnlySpan<byte> Line(ref ReadOnlySpan<byte> rest)
    {
        var end = rest.IndexOf((byte)'\n');
        var line = rest[..end];
        rest = rest[(end + 1)..];
        return line is [.., (byte)'\r'] ? line[..^1] : line;
    }

    private static HttpRequestException Malformed(string what) => new(HttpRequestError.InvalidResponse, $"The backend's answer is not HTTP/1: {what}.");

    private void ReadStatus(ReadOnlySpan<byte> line)
    {
        if (!line.StartsWith("HTTP/1."u8) || line.Length < 12 || !char.IsAsciiDigit((char)line[7]) || line[8] != ' ' || (line.Length > 12 && line[12] != ' ')
            || !Utf8Parser.TryParse(line.Slice(9, 3), out int status, out var digits) || digits != 3 || status is < 100 or 101)
        {
            // 101: nobody asked to switch protocols.
            throw Malformed("its first line is no status line");
        }

        _isOld = line[7] == '0';
        Status = status;
    }

    private void ReadField(ReadOnlySpan<byte> line)
    {
        if (line[0] is (byte)' ' or (byte)'\t')
        {
            if (Headers.Count == 0)
            {
                throw Malformed("a header without a name");
            }

            Headers.Fold(line.Trim(" \t"u8));
            return;
        }

        var colon = line.IndexOf((byte)':');
        var name = colon < 0 ? [] : line[..colon].TrimEnd(" \t"u8);
        if (name.IsEmpty || name.IndexOfAnyExcept(_token) >= 0)
        {
            throw Malformed("a header without a name");
        }

        Headers.Add(name, line[(colon + 1)..].Trim(" \t"u8));
    }

    private void Frame(bool answersHead)
    {
        var hasCoding = Headers.TryGet("Transfer-Encoding", out var coding);
        var length = ReadLength();
        KeepsConnection = !Headers.Lists("Connection", "close") && (!_isOld || (!hasCoding && Headers.Lists("Connection", "keep-alive")));
        if (answersHead || Status is < 200 or 204 or 304)
        {
            // A 204 that announces a body may well send it: it would be read as the next answer.
            Framing = BodyFraming.None;
            KeepsConnection &= answersHead || Status != 204 || (!hasCoding && length is null or 0);
        }
        else if (hasCoding)
        {
            // Both are an attempt to have the two ends disagree, or a mistake: the coding counts, and the connection is not used again.
            KeepsConnection &= length is null;
            Framing = coding!.Equals("chunked", StringComparison.OrdinalIgnoreCase) ? BodyFraming.Chunked : throw Malformed("a transfer coding that nobody asked for");
        }
        else
        {
            Length = length;
            Framing = length is null ? BodyFraming.UntilClose : length == 0 ? BodyFraming.None : BodyFraming.Length;
        }

        KeepsConnection &= Framing != BodyFraming.UntilClose;
    }

    private long? ReadLength()
    {
        if (!Headers.TryGet("Content-Length", out var text))
        {
            return null;
        }

        // Said twice, it may only be said alike.
        long? length = null;
        foreach (var range in text.AsSpan().Split(','))
        {
            if (!long.TryParse(text.AsSpan(range).Trim(" \t"), System.Globalization.NumberStyles.None, null, out var one) || (length is not null && one != length))
            {
                throw Malformed("no usable Content-Length");
            }

            length = one;
        }

        return length;
    }
}
