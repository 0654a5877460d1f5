using System.Buffers;
using System.Globalization;
using System.Text;

namespace Roadbalancer.Proxy;

/// <summary>From an upstream's error to the <see cref="OutcomeKind"/> that decides what follows.</summary>
internal static class ErrorClassifier
{
    private const int LongestWord = 64;

    private static readonly SearchValues<char> _wordCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    /// <summary>
    /// What an answer that is no success means. A 2xx is classified as <see cref="ClassifyInBand"/> does, for answers whose body is an
    /// error all the same; a redirect is a server error, as none is followed.
    /// </summary>
    /// <param name="body">As much of the error's body as was read, decompressed; may be empty, cut off or no JSON.</param>
    /// <param name="detail">Status, code and type for operators, at most 200 characters; never the text, which may hold a prompt or a key.</param>
    public static OutcomeKind Classify(int status, ReadOnlySpan<byte> body, out string detail)
    {
        var error = ErrorBody.Read(body);
        detail = Describe(status, error);
        return status switch
        {
            >= 200 and < 300 => InBand(error),
            401 => OutcomeKind.BadCredentials,
            402 => OutcomeKind.QuotaExhausted,
            403 => Forbidden(error),
            404 => NotFound(error),
            408 => OutcomeKind.ServerError,
            429 => ErrorCodes.KindOf(error) == OutcomeKind.QuotaExhausted ? OutcomeKind.QuotaExhausted : OutcomeKind.RateLimited,
            >= 400 and < 500 => Refused(error),
            503 or 529 => OutcomeKind.Overloaded,
            _ => OutcomeKind.ServerError,
        };
    }

    /// <summary>What an error inside a stream, or inside an answer that called itself a success, means.</summary>
    /// <param name="json">The event's data.</param>
    /// <param name="detail">As in <see cref="Classify"/>, without a status.</param>
    public static OutcomeKind ClassifyInBand(ReadOnlySpan<byte> json, out string detail)
    {
        var error = ErrorBody.Read(json);
        detail = Describe(0, error);
        return InBand(error);
    }

    private static OutcomeKind Forbidden(in ErrorBody error)
    {
        var kind = ErrorCodes.KindOf(error) ?? ErrorCodes.KindOfText(error.Message);

        // OpenAI answers 403 model_not_found where a project may not use a model; moderation may answer 403 too.
        return kind is OutcomeKind.QuotaExhausted or OutcomeKind.ModelAbsent or OutcomeKind.ContentFiltered
            ? kind.Value
            : OutcomeKind.BadCredentials;
    }

    private static OutcomeKind NotFound(in ErrorBody error)
    {
        var isAbsent = ErrorCodes.KindOf(error) == OutcomeKind.ModelAbsent
            || ErrorCodes.KindOfText(error.Message) == OutcomeKind.ModelAbsent
            || (error.Type == "not_found_error" && error.Message is { } text && text.StartsWith("model: ", StringComparison.Ordinal));
        return isAbsent ? OutcomeKind.ModelAbsent : OutcomeKind.CallerFault;
    }

    private static OutcomeKind Refused(in ErrorBody error) =>
        (ErrorCodes.KindOf(error) ?? ErrorCodes.KindOfText(error.Message)) switch
        {
            // These say by status what they mean; a 400 that names them is still a refusal of this request.
            OutcomeKind.RateLimited or OutcomeKind.Overloaded or null => OutcomeKind.CallerFault,
            { } kind => kind,
        };

    private static OutcomeKind InBand(in ErrorBody error) => ErrorCodes.KindOf(error) ?? error.Number switch
    {
        402 => OutcomeKind.QuotaExhausted,
        429 => OutcomeKind.RateLimited,
        503 or 529 => OutcomeKind.Overloaded,
        _ => ErrorCodes.KindOfText(error.Message) ?? OutcomeKind.InBandError,
    };

    private static string Describe(int status, in ErrorBody error)
    {
        var words = new StringBuilder();
        Add(words, status == 0 ? null : status.ToString(CultureInfo.InvariantCulture));
        Add(words, error.Number == 0 || error.Number == status ? null : error.Number.ToString(CultureInfo.InvariantCulture));
        Add(words, error.Code);
        Add(words, error.InnerCode);
        Add(words, error.Type == error.Code ? null : error.Type);
        Add(words, error.Status == error.Code ? null : error.Status);
        return words.Length == 0 ? "error" : words.ToString(0, Math.Min(words.Length, 200));
    }

    /// <summary>Only what looks like a code: some servers put sentences there, and sentences may repeat what the client sent.</summary>
    private static void Add(StringBuilder words, string? word)
    {
        if (string.IsNullOrEmpty(word) || word.Length > LongestWord || word.AsSpan().ContainsAnyExcept(_wordCharacters))
        {
            return;
        }

        if (words.Length > 0)
        {
            words.Append(' ');
        }

        words.Append(word);
    }
}
