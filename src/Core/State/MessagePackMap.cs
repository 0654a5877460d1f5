using System.Buffers.Binary;
using System.Text;

namespace Roadbalancer.State;

/// <summary>Reads what the scripts' <c>cmsgpack.pack</c> makes of a table from text to whole numbers: models and their times.</summary>
internal static class MessagePackMap
{
    /// <summary>The entries; those before the first byte that is something else.</summary>
    public static Dictionary<string, long> Read(ReadOnlySpan<byte> packed)
    {
        var map = new Dictionary<string, long>(StringComparer.Ordinal);
        var count = packed is [>= 0x80 and < 0x90, ..] ? packed[0] & 0x0F : packed is [0xDE, _, _, ..] ? BinaryPrimitives.ReadUInt16BigEndian(packed[1..]) : 0;
        var rest = packed.IsEmpty ? packed : packed[(packed[0] == 0xDE ? 3 : 1)..];
        for (var i = 0; i < count && !rest.IsEmpty; i++)
        {
            if (Text(ref rest) is not { } key || Number(ref rest) is not { } value)
            {
                break;
            }

            map[key] = value;
        }

        return map;
    }

    private static string? Text(ref ReadOnlySpan<byte> rest)
    {
        var (head, length) = rest[0] switch
        {
            >= 0xA0 and < 0xC0 and var small => (1, small & 0x1F),
            0xD9 when rest.Length > 1 => (2, rest[1]),
            0xDA when rest.Length > 2 => (3, BinaryPrimitives.ReadUInt16BigEndian(rest[1..])),
            _ => (0, 0),
        };
        if (head == 0 || rest.Length <= head + length)
        {
            return null;
        }

        var text = Encoding.UTF8.GetString(rest.Slice(head, length));
        rest = rest[(head + length)..];
        return text;
    }

    private static long? Number(ref ReadOnlySpan<byte> rest)
    {
        var (length, value) = rest[0] switch
        {
            < 0x80 and var small => (1, (long)small),
            0xCC when rest.Length >= 2 => (2, rest[1]),
            0xCD when rest.Length >= 3 => (3, BinaryPrimitives.ReadUInt16BigEndian(rest[1..])),
            0xCE when rest.Length >= 5 => (5, BinaryPrimitives.ReadUInt32BigEndian(rest[1..])),
            0xCF or 0xD3 when rest.Length >= 9 => (9, BinaryPrimitives.ReadInt64BigEndian(rest[1..])),
            0xCA when rest.Length >= 5 => (5, (long)BinaryPrimitives.ReadSingleBigEndian(rest[1..])),
            0xCB when rest.Length >= 9 => (9, (long)BinaryPrimitives.ReadDoubleBigEndian(rest[1..])),
            _ => (0, 0),
        };
        rest = rest[length..];
        return length == 0 ? null : value;
    }
}
