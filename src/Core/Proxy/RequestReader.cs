using System.Diagnostics.CodeAnalysis;
using Microsoft.Net.Http.Headers;

namespace Roadbalancer.Proxy;

/// <summary>Reads what the balancer needs from a request's body, in one pass and without building a document.</summary>
internal static class RequestReader
{
    /// <summary>The path whose requests have <c>messages</c> that can be continued.</summary>
    public const string ChatPath = "chat/completions";

    /// <summary>
    /// Reads <paramref name="body"/>. A JSON body must be one well-formed object in UTF-8, at most 256 levels deep, whose <c>model</c> and
    /// <c>stream</c> have their types and are, like <c>max_tokens</c> and <c>temperature</c>, not repeated: a backend could read another
    /// one of the two than we do. An empty body, or one of a type that is neither JSON nor <c>multipart/form-data</c>, has no facts and no error.
    /// </summary>
    /// <param name="path">What follows <c>/v1/</c>, without a query.</param>
    /// <param name="contentType">The header's value; null or empty is taken as JSON.</param>
    /// <param name="error">What is wrong and where, in words for the client; null when the result is true.</param>
    public static bool TryRead(
        ReadOnlySpan<byte> body,
        ReadOnlySpan<char> path,
        string? contentType,
        out RequestFacts facts,
        [NotNullWhen(false)] out string? error)
    {
        facts = RequestFacts.None;
        error = null;
        if (body.IsEmpty)
        {
            return true;
        }

        switch (FormatOf(contentType, out var type))
        {
            case BodyFormat.Json:
                facts = new RequestFacts { Format = BodyFormat.Json };
                error = new JsonRequestScan(body, facts, path.SequenceEqual(ChatPath)).Run();
                break;
            case BodyFormat.Multipart:
                facts = new RequestFacts { Format = BodyFormat.Multipart };
                error = MultipartScan.Run(body, HeaderUtilities.RemoveQuotes(type!.Boundary).AsSpan(), facts);
                break;
            default:
                return true;
        }

        if (error is not null)
        {
            facts = RequestFacts.None;
        }

        return error is null;
    }

    private static BodyFormat FormatOf(string? contentType, out MediaTypeHeaderValue? type)
    {
        type = null;
        if (string.IsNullOrEmpty(contentType) || contentType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            return BodyFormat.Json;
        }

        if (!MediaTypeHeaderValue.TryParse(contentType, out type))
        {
            return BodyFormat.None;
        }

        if (type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
        {
            return BodyFormat.Multipart;
        }

        var isJson = type.SubTypeWithoutSuffix.Equals("json", StringComparison.OrdinalIgnoreCase)
            || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase);
        return isJson ? BodyFormat.Json : BodyFormat.None;
    }
}
