using System.Globalization;

namespace Roadbalancer.Simulation;

/// <summary>How a stream, or a body that is not one, goes wrong.</summary>
internal enum AnswerBreak
{
    None,
    Stall,
    Reset,
    HalfClose,
    EndEarly,
    MalformedEvent,
    ErrorEvent,
    BadJson,
    Empty,
}

/// <summary>
/// What is to go wrong with one request. Written as words separated by <c>,</c> or <c>;</c>, either in the query (<c>?sim=status=429,retry_after=3</c>,
/// with <c>=</c> and <c>;</c> escaped where the client insists) or as the model's name (<c>sim;status=429;retry_after=3</c>; <c>sim:</c> and
/// <c>sim-</c> begin one too). The query wins; a profile's own pace holds where a word does not change it.
/// </summary>
/// <remarks>
/// N counts tokens (words) of the answer; 0 is before the first event. Of several ways to break an answer the last one written holds.
/// <list type="table">
/// <listheader><term>word</term><description>what happens</description></listheader>
/// <item><term><c>status=N</c></term><description>that status (400 to 599) with OpenAI's error object for it</description></item>
/// <item><term><c>retry_after=S</c></term><description><c>Retry-After: S</c> with the error; alone it means 429</description></item>
/// <item><term><c>retry_after_ms=N</c></term><description><c>retry-after-ms: N</c> with the error; alone it means 429</description></item>
/// <item><term><c>context_length</c></term><description>400 <c>context_length_exceeded</c></description></item>
/// <item><term><c>content_filter</c></term><description>400 <c>content_filter</c></description></item>
/// <item><term><c>quota</c></term><description>429 <c>insufficient_quota</c></description></item>
/// <item><term><c>unauthorized</c></term><description>401 <c>invalid_api_key</c></description></item>
/// <item><term><c>model_absent</c></term><description>404 <c>model_not_found</c></description></item>
/// <item><term><c>refuse_prefix</c></term><description>400 when the last message is the assistant's; else nothing</description></item>
/// <item><term><c>reset</c></term><description>the connection is reset before the headers</description></item>
/// <item><term><c>silent</c></term><description>never a byte, until the client leaves</description></item>
/// <item><term><c>fail=R</c></term><description>a share R (0 to 1) of requests fails: a 500, or for a stream half the time a cut midway</description></item>
/// <item><term><c>first_token_ms=N</c></term><description>time to the first token, after the headers; an answer that is not a stream takes as long in all</description></item>
/// <item><term><c>tps=N</c></term><description>tokens per second after that; 0: unlimited</description></item>
/// <item><term><c>stall_after=N</c></term><description>silence after N tokens (other answers: after half the body), until the client leaves</description></item>
/// <item><term><c>cut_after=N</c></term><description>a real reset after N tokens (other answers: after half the body)</description></item>
/// <item><term><c>cut_after_clean=N</c></term><description>the stream ends properly after N tokens, without finish and <c>[DONE]</c> (other answers: as <c>short_body</c>)</description></item>
/// <item><term><c>short_body</c></term><description>FIN after half the body, short of its Content-Length (streams: after half the tokens, without the final chunk)</description></item>
/// <item><term><c>malformed_after=N</c></term><description>one unparsable event after N tokens, the rest is whole (other answers: as <c>bad_json</c>)</description></item>
/// <item><term><c>error_event_after=N</c></term><description>an error event after N tokens, then the end (other answers: a 500)</description></item>
/// <item><term><c>no_done</c></term><description>a whole stream without <c>[DONE]</c></description></item>
/// <item><term><c>bad_json</c></term><description>200 <c>application/json</c> with half the JSON and a matching Content-Length; streams too</description></item>
/// <item><term><c>empty</c></term><description>200 with nothing: an event stream without events, or an empty body</description></item>
/// </list>
/// </remarks>
internal sealed record SimulatedFault
{
    public static SimulatedFault None { get; } = new();

    /// <summary>The error to answer with; null for none.</summary>
    public SimulatedError? Error { get; init; }

    /// <summary>In seconds, or null.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>In milliseconds, or null.</summary>
    public int? RetryAfterMs { get; init; }

    public bool RefusePrefix { get; init; }

    public bool ResetFirst { get; init; }

    public bool Silent { get; init; }

    public bool NoDone { get; init; }

    /// <summary>Null: the profile's.</summary>
    public double? FailureRatio { get; init; }

    /// <summary>Null: the profile's.</summary>
    public TimeSpan? FirstTokenDelay { get; init; }

    /// <summary>Null: the profile's; 0: unlimited.</summary>
    public double? TokensPerSecond { get; init; }

    public AnswerBreak Break { get; init; }

    /// <summary>Tokens before <see cref="Break"/>; null: half of them.</summary>
    public int? BreakAfter { get; init; }

    /// <summary>Whether a model's name is a fault rather than a name.</summary>
    public static bool IsOne(ReadOnlySpan<byte> model) => model.Length > 4 && model.StartsWith("sim"u8) && model[3] is (byte)';' or (byte)':' or (byte)'-';

    /// <summary>Reads the words of the table above, with or without <c>sim;</c> before them.</summary>
    /// <exception cref="FormatException">A word is unknown, or its value is missing or not a number; the message says which.</exception>
    public static SimulatedFault Parse(string text)
    {
        var words = text.StartsWith("sim", StringComparison.Ordinal) && text.Length > 3 && text[3] is ';' or ':' or '-' ? text[4..] : text;
        var fault = None;
        foreach (var word in words.Split([',', ';'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            fault = equals < 0 ? fault.WithFlag(word) : fault.With(word[..equals], Number(word, word[(equals + 1)..]));
        }

        var parked = fault.RetryAfterSeconds is not null || fault.RetryAfterMs is not null;
        return parked && fault.Error is null ? fault with { Error = SimulatedError.For(429) } : fault;
    }

    private SimulatedFault WithFlag(string word) => word switch
    {
        "context_length" => this with { Error = SimulatedError.ContextLength },
        "content_filter" => this with { Error = SimulatedError.ContentFilter },
        "quota" => this with { Error = SimulatedError.Quota },
        "unauthorized" => this with { Error = SimulatedError.For(401) },
        "model_absent" => this with { Error = SimulatedError.ModelAbsent },
        "refuse_prefix" => this with { RefusePrefix = true },
        "reset" => this with { ResetFirst = true },
        "silent" => this with { Silent = true },
        "no_done" => this with { NoDone = true },
        "short_body" => Broken(AnswerBreak.HalfClose, null),
        "bad_json" => Broken(AnswerBreak.BadJson, null),
        "empty" => Broken(AnswerBreak.Empty, null),
        _ => throw new FormatException($"«{word}» is not a fault that a simulated backend knows, or needs a value."),
    };

    private SimulatedFault With(string name, double value) => name switch
    {
        "status" when value is >= 400 and <= 599 => this with { Error = SimulatedError.For((int)value) },
        "retry_after" => this with { RetryAfterSeconds = (int)value },
        "retry_after_ms" => this with { RetryAfterMs = (int)value },
        "fail" => this with { FailureRatio = value },
        "first_token_ms" => this with { FirstTokenDelay = TimeSpan.FromMilliseconds(value) },
        "tps" => this with { TokensPerSecond = value },
        "stall_after" => Broken(AnswerBreak.Stall, value),
        "cut_after" => Broken(AnswerBreak.Reset, value),
        "cut_after_clean" => Broken(AnswerBreak.EndEarly, value),
        "malformed_after" => Broken(AnswerBreak.MalformedEvent, value),
        "error_event_after" => Broken(AnswerBreak.ErrorEvent, value),
        _ => throw new FormatException($"«{name}={value.ToString(CultureInfo.InvariantCulture)}» is not a fault that a simulated backend knows."),
    };

    private SimulatedFault Broken(AnswerBreak how, double? after) => this with { Break = how, BreakAfter = (int?)after };

    private static double Number(string word, string value) =>
        double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new FormatException($"«{word}» needs a number of 0 or more.");
}
