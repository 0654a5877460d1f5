using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Proxy;

/// <summary>The keys that clients may present, as hashes; looked up in a time that tells nothing of them.</summary>
internal sealed class KeyRing(ImmutableArray<ClientKey> keys)
{
    private const int LongestKey = 1024;

    private readonly (string Name, byte[] Hash)[] _keys = [.. keys.Select(key => (key.Name, SHA256.HashData(Encoding.UTF8.GetBytes(key.Key))))];

    /// <summary>No keys are configured: anyone may call.</summary>
    public bool IsOpen => _keys.Length == 0;

    /// <summary>The name of the key in <c>Authorization: Bearer</c> or <c>api-key</c>; null when it is missing or unknown.</summary>
    public string? Find(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        var presented = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header.AsSpan(7).Trim() : request.Headers["api-key"].ToString();
        return Find(presented);
    }

    /// <summary>The name of the key <paramref name="presented"/>; null when it is unknown.</summary>
    public string? Find(ReadOnlySpan<char> presented)
    {
        if (presented.IsEmpty || presented.Length > LongestKey)
        {
            return null;
        }

        Span<byte> utf8 = stackalloc byte[LongestKey * 3];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(presented, utf8)], hash);
        string? found = null;
        foreach (var (name, known) in _keys)
        {
            // Every key is compared, and compared whole, whichever matches.
            found = CryptographicOperations.FixedTimeEquals(hash, known) ? name : found;
        }

        return found;
    }
}
