namespace Roadbalancer.Proxy;

/// <content>Strings, numbers, literals: what may be split in the middle.</content>
internal sealed partial class AnswerReader
{
    private static readonly byte[] _true = "true"u8.ToArray();
    private static readonly byte[] _false = "false"u8.ToArray();
    private static readonly byte[] _null = "null"u8.ToArray();

    /// <summary>Before anything else: a byte order mark or nothing.</summary>
    private void ReadMark(byte b, ref int i)
    {
        var mark = "\uFEFF"u8;
        if (b == mark[_markPosition])
        {
            i++;
            _markPosition++;
            _scan = _markPosition == mark.Length ? Scan.Value : Scan.Mark;
        }
        else
        {
            _scan = _markPosition == 0 ? Scan.Value : Scan.Failed;
        }
    }

    private void ReadString(ReadOnlySpan<byte> chunk, ref int i)
    {
        var rest = chunk[i..];
        var length = rest.IndexOfAny(_stringStops);
        var isOpen = length < 0;
        length = isOpen ? rest.Length : length;
        if (_inName)
        {
            NoteName(rest[..length]);
        }

        i += length;
        if (isOpen)
        {
            return;
        }

        switch (chunk[i++])
        {
            case (byte)'"' when _inName:
                EndName();
                _scan = Scan.Colon;
                break;
            case (byte)'"':
                EndValue();
                break;
            case (byte)'\\':
                _scan = Scan.Escape;
                break;
            default:
                _scan = Scan.Failed;
                break;
        }
    }

    private void ReadEscape(byte b)
    {
        if (_scan == Scan.Hex)
        {
            _scan = !char.IsAsciiHexDigit((char)b) ? Scan.Failed : --_hexLeft == 0 ? Scan.String : Scan.Hex;
            return;
        }

        SpoilName();
        switch (b)
        {
            case (byte)'u':
                _hexLeft = 4;
                _scan = Scan.Hex;
                break;
            case (byte)'"' or (byte)'\\' or (byte)'/' or (byte)'b' or (byte)'f' or (byte)'n' or (byte)'r' or (byte)'t':
                _scan = Scan.String;
                break;
            default:
                _scan = Scan.Failed;
                break;
        }
    }

    private void BeginLiteral(byte[] literal)
    {
        _literal = literal;
        _literalPosition = 1;
        _scan = Scan.Literal;
    }

    private void ReadLiteral(ReadOnlySpan<byte> chunk, ref int i)
    {
        var literal = _literal.Span;
        while (i < chunk.Length && _literalPosition < literal.Length)
        {
            if (chunk[i++] != literal[_literalPosition++])
            {
                _scan = Scan.Failed;
                return;
            }
        }

        if (_literalPosition == literal.Length)
        {
            EndValue();
        }
    }

    private void ReadNumber(ReadOnlySpan<byte> chunk, ref int i)
    {
        while (i < chunk.Length)
        {
            if (_count == Count.None && (_scan is Scan.Integer or Scan.Fraction))
            {
                // Embeddings are nearly all digits; nobody asks for the value of these.
                while ((uint)(chunk[i] - '0') <= 9)
                {
                    if (++i == chunk.Length)
                    {
                        return;
                    }
                }
            }

            var next = AfterNumberByte(_scan, chunk[i]);
            if (next == Scan.End)
            {
                // The byte behind the number belongs to the structure.
                EndNumber();
                return;
            }

            if (next == Scan.Failed)
            {
                _scan = Scan.Failed;
                return;
            }

            if (_count != Count.None)
            {
                NoteDigit(next, chunk[i]);
            }

            _scan = next;
            i++;
        }
    }

    /// <summary>The state behind <paramref name="b"/>; <see cref="Scan.End"/> when the number was over before it.</summary>
    private static Scan AfterNumberByte(Scan scan, byte b)
    {
        var isDigit = (uint)(b - '0') <= 9;
        var isExponent = (b | 0x20) == 'e';
        return scan switch
        {
            Scan.Minus => b == '0' ? Scan.Zero : isDigit ? Scan.Integer : Scan.Failed,
            Scan.Integer when isDigit => Scan.Integer,
            Scan.Zero when isDigit => Scan.Failed,
            Scan.Zero or Scan.Integer => b == '.' ? Scan.Point : isExponent ? Scan.Exponent : Scan.End,
            Scan.Point => isDigit ? Scan.Fraction : Scan.Failed,
            Scan.Fraction => isDigit ? Scan.Fraction : isExponent ? Scan.Exponent : Scan.End,
            Scan.Exponent => isDigit ? Scan.ExponentDigits : b is (byte)'+' or (byte)'-' ? Scan.ExponentSign : Scan.Failed,
            Scan.ExponentSign => isDigit ? Scan.ExponentDigits : Scan.Failed,
            _ => isDigit ? Scan.ExponentDigits : Scan.End,
        };
    }
}
