using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>The class table's rows for faults that show before anything has gone to the client.</summary>
internal static class FaultRows
{
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan QuotaPark = TimeSpan.FromSeconds(200);

    /// <summary>By name.</summary>
    public static IReadOnlyDictionary<string, Fault> All { get; } = new Dictionary<string, Fault>(StringComparer.Ordinal)
    {
        ["refused"] = Unreachable(backend => backend with { BaseUrl = new Uri("http://127.0.0.1:1/v1") }),
        ["dns"] = Unreachable(backend => backend with { BaseUrl = new Uri("http://nowhere.invalid/v1") }),
        ["TLS"] = Unreachable(backend => backend with { BaseUrl = PlainPort.HttpsUrl }),
        ["reset before headers"] = Failure(Scripts.ResetBeforeHeaders, OutcomeKind.ConnectionReset),
        ["end before headers"] = Failure(Scripts.CloseBeforeHeaders, OutcomeKind.ConnectionReset),
        ["silence"] = Failure(Scripts.Hang, OutcomeKind.TimedOut, 504, "backend_timeout") with
        {
            Course = Course.Elsewhere,
            Shape = backend => backend with { Timeout = Short },
        },
        ["no first token"] = Failure(Scripts.StreamThen([ScriptedChat.Role()], connection => connection.HangAsync()), OutcomeKind.FirstTokenTimedOut, 504, "backend_timeout") with
        {
            Course = Course.Elsewhere,
            Shape = backend => backend with { FirstTokenTimeout = Short, Timeout = Short * 2 },
            StreamOnly = true,
        },
        ["429"] = RateLimited() with { LeastWait = TimeSpan.FromSeconds(1) },
        ["429 retry-after-ms 200"] = RateLimited(("retry-after-ms", "200")) with { LeastWait = TimeSpan.FromMilliseconds(200) },
        ["429 Retry-After 30"] = LongRateLimit(("Retry-After", "30")) with { RetryAfter = "30" },
        ["429 Retry-After date"] = LongRateLimit(("Retry-After", TimeProvider.System.GetUtcNow().AddHours(2).ToString("R", CultureInfo.InvariantCulture))),
        ["429 reset-requests 6m0s"] = LongRateLimit(("x-ratelimit-reset-requests", "6m0s"), ("x-ratelimit-remaining-requests", "0")),
        ["429 reset-tokens 200ms"] = RateLimited(("x-ratelimit-reset-tokens", "200ms")) with { LeastWait = TimeSpan.FromMilliseconds(200) },
        ["429 quota"] = Quota(429, "insufficient_quota"),
        ["402"] = Quota(402, "payment_required"),
        ["403 quota"] = Quota(403, "quota_exceeded"),
        ["503"] = Failure(Scripts.Status(503), OutcomeKind.Overloaded, 503, "scripted"),
        ["503 retry-after-ms 700"] = Failure(Scripts.ErrorBody(503, "scripted", "Later.", ("retry-after-ms", "700")), OutcomeKind.Overloaded, 503, "scripted") with
        {
            LeastWait = TimeSpan.FromMilliseconds(700),
            Parks = true,
        },
        ["503 Retry-After 30"] = Failure(Scripts.Status(503, 30), OutcomeKind.Overloaded, 503, "scripted") with
        {
            Course = Course.Elsewhere,
            LeastPark = TimeSpan.FromSeconds(20),
            Parks = true,
            RetryAfter = "30",
        },
        ["529"] = Failure(Scripts.Status(529), OutcomeKind.Overloaded, 529, "scripted"),
        ["500"] = Failure(Scripts.Status(500), OutcomeKind.ServerError, 500, "scripted"),
        ["502"] = Failure(Scripts.Status(502), OutcomeKind.ServerError, 502, "scripted"),
        ["504"] = Failure(Scripts.Status(504), OutcomeKind.ServerError, 504, "scripted"),
        ["408"] = Failure(Scripts.Status(408), OutcomeKind.ServerError, 408, "scripted"),
        ["401"] = Credentials(401, "invalid_api_key"),
        ["403"] = Credentials(403, null),
        ["404 model"] = new(Scripts.ErrorBody(404, "model_not_found", "The model `m` does not exist."), OutcomeKind.ModelAbsent, Course.Elsewhere, Blame.ModelAbsent, 404, "model_not_found"),
        ["404"] = Answered(404, "no_such_route", OutcomeKind.CallerFault),
        ["400"] = Answered(400, "invalid_value", OutcomeKind.CallerFault),
        ["413"] = Answered(413, "too_large", OutcomeKind.CallerFault),
        ["422"] = Answered(422, "invalid_value", OutcomeKind.CallerFault),
        ["400 context"] = Answered(400, "context_length_exceeded", OutcomeKind.ContextTooLong) with { Course = Course.WorseGroup },
        ["400 content filter"] = Answered(400, "content_filter", OutcomeKind.ContentFiltered),
        ["short body"] = Failure((_, connection, _) => connection.ShortBodyAsync(1000, """{"id":"x","choices":["""), OutcomeKind.AnswerMalformed),
        ["bad JSON"] = Failure(Scripts.Respond(200, """{"choices":[}"""), OutcomeKind.AnswerMalformed),
        ["empty 200"] = Failure(Scripts.Respond(200, ""), OutcomeKind.AnswerMalformed),
        ["error under 200"] = Failure(Scripts.Respond(200, ScriptedChat.Error("scripted", "Sorry.")), OutcomeKind.InBandError),
        ["in-band error first"] = Stream([ScriptedChat.Error("scripted", "Sorry.")], connection => connection.EndAsync(), OutcomeKind.InBandError),
        ["in-band rate limit first"] = Stream([ScriptedChat.Error("rate_limit_exceeded", "Slow down.")], connection => connection.EndAsync(), OutcomeKind.RateLimited) with
        {
            Blame = Blame.Park,
            Status = 429,
            Code = "rate_limit_exceeded",
            LeastWait = TimeSpan.FromSeconds(1),
            RetryAfter = "1",
        },
        ["empty stream"] = Stream([], connection => connection.EndAsync(), OutcomeKind.StreamMalformed),
        ["stream of [DONE] alone"] = Stream(["[DONE]"], connection => connection.EndAsync(), OutcomeKind.StreamMalformed),
        ["end without content"] = Stream([ScriptedChat.Role()], connection => connection.EndAsync(), OutcomeKind.StreamMalformed),
        ["reset after the role"] = Stream([ScriptedChat.Role()], connection => connection.ResetAsync(), OutcomeKind.StreamBroken),
    };

    private static Fault Failure(UpstreamScript script, OutcomeKind kind, int status = 502, string code = "bad_backend_answer") =>
        new(script, kind, Course.AgainAfterWait, Blame.Failure, status, code);

    private static Fault Unreachable(Func<Backend, Backend> shape) => Failure(Scripts.Hang, OutcomeKind.ConnectFailed, 503, "no_healthy_backend") with
    {
        Shape = shape,
        NeverArrives = true,
        RetryAfter = "5",
    };

    private static Fault RateLimited(params (string Name, string Value)[] headers) =>
        new(Scripts.ErrorBody(429, "rate_limit_exceeded", "Slow down.", headers), OutcomeKind.RateLimited, Course.AgainAfterWait, Blame.Park, 429, "rate_limit_exceeded");

    private static Fault LongRateLimit(params (string Name, string Value)[] headers) =>
        RateLimited(headers) with { Course = Course.Elsewhere, LeastPark = TimeSpan.FromSeconds(20) };

    private static Fault Quota(int status, string code) =>
        new(Scripts.ErrorBody(status, code, "You have used up what you paid for."), OutcomeKind.QuotaExhausted, Course.Elsewhere, Blame.ParkLong, 429, "insufficient_quota")
        {
            LeastPark = QuotaPark,
        };

    private static Fault Credentials(int status, string? code) =>
        new(Scripts.ErrorBody(status, code, "Who are you?"), OutcomeKind.BadCredentials, Course.Elsewhere, Blame.Misconfigured, 502, "backend_misconfigured");

    private static Fault Answered(int status, string code, OutcomeKind kind) =>
        new(Scripts.ErrorBody(status, code, "Not like this."), kind, Course.AsItIs, Blame.None, status, code);

    private static Fault Stream(string[] events, Func<UpstreamConnection, Task> end, OutcomeKind kind) =>
        Failure(Scripts.StreamThen(events, end), kind) with { StreamOnly = true };
}
