using System.Buffers.Text;

namespace Roadbalancer.Ledger;

/// <summary>
/// Writes integers as a short text: bytes in base64url, which passes every re-serialisation of JSON as it is. Values are cut to 0 … 2^53 - 1,
/// which JSON readers with doubles understand; counters of a real deployment stay far below.
/// </summary>
internal sealed class PackedWriter
{
    /// <summary>The largest value that is kept.</summary>
    public const long Most = (1L << 53) - 1;

    private const int MantissaBits = 16;
    private readonly List<byte> _bytes = [];

    /// <summary>Exactly, in 1 to 8 bytes: 7 bits a byte, the lowest first.</summary>
    public void Exact(long value)
    {
        var left = (ulong)Math.Clamp(value, 0, Most);
        while (left >= 0x80)
        {
            _bytes.Add((byte)(left | 0x80));
            left >>= 7;
        }

        _bytes.Add((byte)left);
    }

    /// <summary>
    /// To 17 significant bits (exact below 131,072, else to within 0.0004 %), in 1 to 3 bytes: <c>0v</c> 7 bits, <c>10v</c> 14 bits, else
    /// <c>11</c>, 6 bits of exponent e and 16 of m: m for e = 0, else (65,536 + m) · 2^(e-1).
    /// </summary>
    public void Rounded(long value)
    {
        value = Math.Clamp(value, 0, Most);
        if (value < 1 << 7)
        {
            _bytes.Add((byte)value);
            return;
        }

        if (value < 1 << 14)
        {
            _bytes.Add((byte)(0x80 | (value >> 8)));
            _bytes.Add((byte)value);
            return;
        }

        var exponent = 0;
        if (value >= 1 << MantissaBits)
        {
            var shift = 64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)value) - (MantissaBits + 1);
            value = shift == 0 ? value : (value + (1L << (shift - 1))) >> shift;
            if (value == 1 << (MantissaBits + 1))
            {
                value >>= 1;
                shift++;
            }

            exponent = shift + 1;
        }

        _bytes.Add((byte)(0xC0 | exponent));
        _bytes.Add((byte)(value >> 8));
        _bytes.Add((byte)value);
    }

    /// <summary>One byte as it is; 0xFF begins no rounded value.</summary>
    public void Byte(byte value) => _bytes.Add(value);

    /// <summary>What was written. The letter keeps a reader from taking it for anything but text.</summary>
    public override string ToString() => "p" + Base64Url.EncodeToString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_bytes));
}
