namespace Roadbalancer.Wire;

/// <summary>Takes chunks apart (RFC 9112 §7.1), whatever the pieces in which they come. Extensions and trailers are read and forgotten.</summary>
internal struct ChunkReader
{
    /// <summary>The most that may stand between two chunks' data, or after the last, in bytes.</summary>
    private const int OverheadLimit = 16 * 1024;

    private State _state;
    private long _left;
    private int _overhead;

    private enum State : byte
    {
        FirstDigit,
        Digits,
        Padding,
        Extension,
        SizeEnd,
        Data,
        DataEnd,
        DataEndLf,
        TrailerStart,
        Trailer,
        LastLf,
        Complete,
    }

    /// <summary>The last chunk and what belongs to it have been read.</summary>
    public readonly bool IsComplete => _state == State.Complete;

    /// <summary>Bytes of data that come next, with nothing between them.</summary>
    public readonly long DataLeft => _state == State.Data ? _left : 0;

    /// <summary>Notes that <paramref name="count"/> bytes of <see cref="DataLeft"/> were read elsewhere.</summary>
    public void Skip(int count)
    {
        _overhead = 0;
        _left -= count;
        if (_left == 0)
        {
            _state = State.DataEnd;
        }
    }

    /// <summary>Copies the data in <paramref name="from"/> to <paramref name="to"/>, until either is used up or the last chunk is read.</summary>
    /// <exception cref="HttpIOException">These are no chunks.</exception>
    public (int Used, int Written) Read(ReadOnlySpan<byte> from, Span<byte> to)
    {
        int used = 0, written = 0;
        while (used < from.Length && _state != State.Complete)
        {
            if (_state == State.Data)
            {
                var count = (int)Math.Min(_left, Math.Min(from.Length - used, to.Length - written));
                if (count == 0)
                {
                    break;
                }

                from.Slice(used, count).CopyTo(to[written..]);
                used += count;
                written += count;
                Skip(count);
            }
            else
            {
                Step(from[used++]);
            }
        }

        return (used, written);
    }

    private void Step(byte letter)
    {
        if (++_overhead > OverheadLimit)
        {
            throw Malformed();
        }

        _state = (_state, letter) switch
        {
            (State.FirstDigit, _) => Digit(letter, isFirst: true),
            (State.Digits or State.Padding or State.Extension, (byte)'\r') => State.SizeEnd,
            (State.Digits or State.Padding or State.Extension or State.SizeEnd, (byte)'\n') => _left == 0 ? State.TrailerStart : State.Data,
            (State.Digits or State.Padding, (byte)' ' or (byte)'\t') => State.Padding,
            (State.Digits or State.Padding, (byte)';') => State.Extension,
            (State.Digits, _) => Digit(letter, isFirst: false),
            (State.Extension, _) => State.Extension,
            (State.DataEnd, (byte)'\r') => State.DataEndLf,
            (State.DataEnd or State.DataEndLf, (byte)'\n') => State.FirstDigit,
            (State.TrailerStart, (byte)'\r') => State.LastLf,
            (State.TrailerStart or State.LastLf, (byte)'\n') => State.Complete,
            (State.Trailer, (byte)'\n') => State.TrailerStart,
            (State.TrailerStart or State.Trailer, _) => State.Trailer,
            _ => throw Malformed(),
        };
    }

    private State Digit(byte letter, bool isFirst)
    {
        if (!char.IsAsciiHexDigit((char)letter) || (!isFirst && _left > long.MaxValue >> 4))
        {
            throw Malformed();
        }

        var digit = letter <= '9' ? letter - '0' : (letter | 0x20) - 'a' + 10;
        _left = isFirst ? digit : (_left << 4) + digit;
        return State.Digits;
    }

    private static HttpIOException Malformed() => new(HttpRequestError.InvalidResponse, "The backend's answer is not in chunks, though it says so.");
}
