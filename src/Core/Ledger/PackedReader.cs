using System.Buffers.Text;

namespace Roadbalancer.Ledger;

/// <summary>Reads what <see cref="PackedWriter"/> wrote.</summary>
internal sealed class PackedReader
{
    private readonly byte[] _bytes;
    private int _at;

    /// <exception cref="FormatException">It is not such a text.</exception>
    public PackedReader(string text) =>
        _bytes = text.StartsWith('p') ? Base64Url.DecodeFromChars(text.AsSpan(1)) : throw new FormatException("a packed text begins with p");

    public bool IsAtEnd => _at == _bytes.Length;

    /// <summary>As <see cref="PackedWriter.Exact"/> wrote it.</summary>
    /// <exception cref="FormatException">The text ends here, or the number is none that is ever written.</exception>
    public long Exact()
    {
        long value = 0;
        for (var shift = 0; shift < 56; shift += 7)
        {
            var next = Byte();
            value |= (long)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value <= PackedWriter.Most ? value : throw new FormatException("a number is too large");
            }
        }

        throw new FormatException("a number is too long");
    }

    /// <summary>As <see cref="PackedWriter.Rounded"/> wrote it.</summary>
    /// <exception cref="FormatException">The text ends here, or the number is none that is ever written.</exception>
    public long Rounded()
    {
        var first = Byte();
        if (first < 0x80)
        {
            return first;
        }

        if (first < 0xC0)
        {
            return ((long)(first & 0x3F) << 8) | Byte();
        }

        var exponent = first & 0x3F;
        var mantissa = ((long)Byte() << 8) | Byte();
        return exponent switch
        {
            0 => mantissa,
            > 38 => throw new FormatException("a number is too large"),
            _ => Math.Min((65_536 | mantissa) << (exponent - 1), PackedWriter.Most),
        };
    }

    /// <exception cref="FormatException">The text ends here.</exception>
    public byte Byte() => _at < _bytes.Length ? _bytes[_at++] : throw new FormatException("the packed text ends too soon");

    /// <summary>Whether the next byte is <paramref name="mark"/>, which is then read.</summary>
    public bool Skip(byte mark)
    {
        if (_at < _bytes.Length && _bytes[_at] == mark)
        {
            _at++;
            return true;
        }

        return false;
    }
}
