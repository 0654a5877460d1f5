using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>Content codings of answers (RFC 9110 §8.4): which can be read here, and which a client takes.</summary>
internal static class ContentCoding
{
    /// <summary>The answer's one coding; null for none. Several in a row are treated as one unknown coding.</summary>
    public static string? Of(WireHeaders headers) =>
        headers["Content-Encoding"]?.Replace(" ", "", StringComparison.Ordinal).ToLowerInvariant() is { Length: > 0 } coding && coding != "identity" ? coding : null;

    /// <summary>The answer's body, decoded; as it came where its coding is not known here.</summary>
    public static Stream Plain(WireResponse response) =>
        Of(response.Head.Headers) is { } coding ? Decode(coding, response.Body) ?? response.Body : response.Body;

    /// <summary>A stream that decodes <paramref name="coded"/>; null when the coding is not known here.</summary>
    public static Stream? Decode(string coding, Stream coded) => coding switch
    {
        "gzip" or "x-gzip" => new GZipStream(coded, CompressionMode.Decompress),
        "br" => new BrotliStream(coded, CompressionMode.Decompress),
        "deflate" => new ZLibStream(coded, CompressionMode.Decompress),
        _ => null,
    };

    /// <summary>Whether the request's <c>Accept-Encoding</c> takes <paramref name="coding"/> (RFC 9110 §12.5.3; <c>q=0</c> refuses).</summary>
    public static bool IsAccepted(HttpRequest request, string coding)
    {
        var any = false;
        foreach (var header in request.Headers.AcceptEncoding)
        {
            foreach (var range in header.AsSpan().Split(','))
            {
                var item = header.AsSpan(range).Trim();
                var name = item.IndexOf(';') is >= 0 and var at ? item[..at].TrimEnd() : item;
                if (name.Equals(coding, StringComparison.OrdinalIgnoreCase))
                {
                    return !IsRefused(item[name.Length..]);
                }

                // Stands for what is not named, wherever it stands itself.
                any |= name is "*" && !IsRefused(item[1..]);
            }
        }

        return any;
    }

    private static bool IsRefused(ReadOnlySpan<char> parameters)
    {
        var q = parameters.IndexOf("q=", StringComparison.OrdinalIgnoreCase);
        return q >= 0 && double.TryParse(parameters[(q + 2)..].Trim(), System.Globalization.CultureInfo.InvariantCulture, out var quality) && quality == 0;
    }
}
