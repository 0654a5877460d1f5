using System.Buffers.Binary;

namespace Roadbalancer.Proxy;

/// <summary>
/// The hash that keeps a conversation at its backend. The same bytes give the same number in every process and version, as
/// all instances must agree. Not for secrets: who knows the function can choose a backend, which costs nobody anything.
/// </summary>
internal static class AffinityHash
{
    private const ulong Prime = 0x9E3779B97F4A7C15;

    /// <summary>The hash of <paramref name="bytes"/>; every bit depends on every byte.</summary>
    public static ulong Of(ReadOnlySpan<byte> bytes)
    {
        // FNV-1a by lanes of eight bytes; the shift feeds the high bits back, which a lone multiplication never does.
        var hash = 0xCBF29CE484222325 ^ (ulong)bytes.Length;
        while (bytes.Length >= sizeof(ulong))
        {
            hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes)) * Prime;
            hash ^= hash >> 32;
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var b in bytes)
        {
            hash = (hash ^ b) * Prime;
            hash ^= hash >> 32;
        }

        // The finalizer of MurmurHash3 (Appleby).
        hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCD;
        hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53;
        return hash ^ (hash >> 33);
    }
}
