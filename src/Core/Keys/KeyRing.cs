using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>The keys that clients may present, as hashes; looked up in a time that tells nothing of them.</summary>
/// <param name="keys">The keys.</param>
/// <param name="isClosed">Closed also without keys.</param>
/// <param name="remembers">Keys presented of late are kept as they are, so that the next request is not hashed.</param>
internal sealed class KeyRing(ImmutableArray<ClientKey> keys, bool isClosed = false, bool remembers = true)
{
    private const int LongestKey = 1024;

    /// <summary>A power of two.</summary>
    private const int RecentPlaces = 64;

    private readonly (ClientKey Key, byte[] Hash)[] _keys = [.. keys.Select(key => (key, Convert.FromHexString(key.Hash)))];

    /// <summary>
    /// Keys that were presented of late and are good, found again without hashing them, which costs more than choosing a backend. They go with the
    /// ring, which is made anew when its keys change; a good key is in memory anyway, in the request that presents it.
    /// </summary>
    private readonly Presented?[] _recent = new Presented?[RecentPlaces];

    /// <summary>No keys are configured: anyone may call.</summary>
    public bool IsOpen => _keys.Length == 0 && !isClosed;

    /// <summary>The keys, expired ones among them.</summary>
    public ImmutableArray<ClientKey> Keys { get; } = keys;

    /// <summary>The key called <paramref name="name"/>, whatever its case; null for none.</summary>
    public ClientKey? Named(string name) => Keys.FirstOrDefault(key => key.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The name of the key in <c>Authorization: Bearer</c> or <c>api-key</c>; null when it is missing or unknown.</summary>
    public string? Find(HttpRequest request) => Match(request)?.Name;

    /// <summary>The key itself, which may have expired.</summary>
    public ClientKey? Match(HttpRequest request)
    {
        var header = request.Headers.Authorization.ToString();
        var presented = header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header.AsSpan(7).Trim() : request.Headers["api-key"].ToString();
        return Match(presented);
    }

    /// <summary>The name of the key <paramref name="presented"/>; null when it is unknown.</summary>
    public string? Find(ReadOnlySpan<char> presented) => Match(presented)?.Name;

    /// <summary>Whether a header's value is one of the keys, with or without <c>Bearer</c>.</summary>
    public bool IsIn(ReadOnlySpan<char> value) =>
        Match(value.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? value[7..].Trim() : value.Trim()) is not null;

    private ClientKey? Match(ReadOnlySpan<char> presented)
    {
        if (_keys.Length == 0 || presented.IsEmpty || presented.Length > LongestKey)
        {
            return null;
        }

        if (!remembers)
        {
            return ByHash(presented);
        }

        // The hash that chooses the place is random to the process, and what lies there is compared whole.
        ref var recent = ref _recent[string.GetHashCode(presented) & (RecentPlaces - 1)];
        if (recent is { } known && CryptographicOperations.FixedTimeEquals(MemoryMarshal.AsBytes(presented), MemoryMarshal.AsBytes(known.Text.AsSpan())))
        {
            return known.Key;
        }

        if (ByHash(presented) is not { } found)
        {
            return null;
        }

        recent = new Presented(presented.ToString(), found);
        return found;
    }

    private ClientKey? ByHash(ReadOnlySpan<char> presented)
    {
        Span<byte> utf8 = stackalloc byte[LongestKey * 3];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(presented, utf8)], hash);
        ClientKey? found = null;
        foreach (var (key, known) in _keys)
        {
            // Every key is compared, and compared whole, whichever matches.
            found = CryptographicOperations.FixedTimeEquals(hash, known) ? key : found;
        }

        return found;
    }

    private sealed class Presented(string text, ClientKey key)
    {
        public string Text { get; } = text;

        public ClientKey Key { get; } = key;
    }
}
