using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Telemetry;

/// <summary>
/// A client's request in its trace: it continues the client's <c>traceparent</c> (W3C Trace Context) and is what its attempts belong to. Made
/// only while somebody listens to <see cref="SourceName"/>; attributes are OpenTelemetry's for HTTP and generative AI. Nothing of a prompt, an answer or a key.
/// </summary>
internal sealed class RequestSpan(Activity activity) : IDisposable
{
    /// <summary>The source's name, for listeners.</summary>
    public const string SourceName = BalancerMetrics.MeterName;

    private const int LongestModel = 256;

    private static readonly ActivitySource Source = new(SourceName, typeof(RequestSpan).Assembly.GetName().Version?.ToString(3));

    private int _attempts;

    public static bool IsWanted => Source.HasListeners();

    /// <summary>The span that <see cref="RunAsync"/> made for this request; null for none.</summary>
    public static RequestSpan? Of(HttpContext http) => Source.HasListeners() ? http.Features.Get<RequestSpan>() : null;

    /// <summary>Serves the request inside a span.</summary>
    public static async Task RunAsync(HttpContext http, Func<HttpContext, Task> serve)
    {
        using var span = Begin(http);
        if (span is not null)
        {
            http.Features.Set(span);
        }

        try
        {
            await serve(http);
            span?.End(http, fault: null);
        }
        catch (Exception exception)
        {
            span?.End(http, exception is TruncatedAnswerException ? "truncated" : exception.GetType().Name);
            throw;
        }
    }

    /// <summary>A span for the next attempt, at <paramref name="backend"/>.</summary>
    public AttemptSpan BeginAttempt(Exchange exchange, Backend backend)
    {
        var number = Interlocked.Increment(ref _attempts);
        var operation = Operation.Names[Operation.Of(exchange.Shape, exchange.Path)];
        var model = Shorten(backend.NameOf(exchange.Facts.Model));
        var attempt = Source.CreateActivity(model is null ? operation : $"{operation} {model}", ActivityKind.Client, activity.Context);
        var before = Activity.Current;
        attempt?.Start();

        // What else is sent meanwhile, a second attempt among it, belongs to the request and not to this attempt.
        Activity.Current = before;
        attempt?.SetTag("gen_ai.operation.name", operation)
            .SetTag("gen_ai.provider.name", ModelSeries.Provider)
            .SetTag("gen_ai.request.model", model)
            .SetTag("server.address", backend.BaseUrl.Host)
            .SetTag("server.port", backend.BaseUrl.Port)
            .SetTag("roadbalancer.backend", backend.Name)
            .SetTag("http.request.resend_count", number > 1 ? number - 1 : null);
        return new AttemptSpan(attempt, carrier: attempt ?? activity);
    }

    /// <summary>Tells what the request was and what became of it.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="outcome">As logged.</param>
    /// <param name="last">The last attempt's outcome; null where there was none.</param>
    public void Describe(Exchange exchange, string outcome, AttemptOutcome? last)
    {
        var operation = Operation.Names[Operation.Of(exchange.Shape, exchange.Path)];
        if (exchange.Path is "chat/completions" or "completions" or "responses" or "embeddings" or "rerank" or "moderations")
        {
            // Other routes may have identifiers in their paths, of which there is no end.
            activity.DisplayName = $"{exchange.Http.Request.Method} /v1/{exchange.Path}";
            activity.SetTag("http.route", "/v1/" + exchange.Path);
        }

        activity.SetTag("gen_ai.operation.name", operation)
            .SetTag("gen_ai.provider.name", ModelSeries.Provider)
            .SetTag("gen_ai.request.model", Shorten(exchange.Facts.Model))
            .SetTag("gen_ai.usage.input_tokens", last?.InputTokens)
            .SetTag("gen_ai.usage.output_tokens", last?.OutputTokens)
            .SetTag("roadbalancer.request_id", exchange.RequestId)
            .SetTag("roadbalancer.key", exchange.KeyName)
            .SetTag("roadbalancer.outcome", outcome)
            .SetTag("roadbalancer.attempts", exchange.Attempts.Count);
    }

    public void Dispose() => activity.Dispose();

    private static string? Shorten(string? model) => model is { Length: > LongestModel } ? model[..LongestModel] : model;

    private static RequestSpan? Begin(HttpContext http)
    {
        var headers = http.Request.Headers;
        var isContinued = ActivityContext.TryParse(headers.TraceParent, headers.TraceState, isRemote: true, out var parent);
        var before = Activity.Current;
        if (!isContinued && before is { OperationName: "Microsoft.AspNetCore.Hosting.HttpRequestIn" })
        {
            // The server's own, which nobody exports: as a parent it would be one that is missing from the trace.
            Activity.Current = null;
        }

        var method = http.Request.Method;
        var activity = isContinued
            ? Source.StartActivity(method + " /v1", ActivityKind.Server, parent)
            : Source.StartActivity(method + " /v1", ActivityKind.Server);
        if (activity is null)
        {
            Activity.Current = before;
            return null;
        }

        activity.SetTag("http.request.method", method).SetTag("url.scheme", http.Request.Scheme).SetTag("url.path", http.Request.Path.Value);
        return new RequestSpan(activity);
    }

    private void End(HttpContext http, string? fault)
    {
        var status = http.Response.StatusCode;
        activity.SetTag("http.response.status_code", status);
        fault ??= http.RequestAborted.IsCancellationRequested ? "client_left" : status >= 500 ? status.ToString(System.Globalization.CultureInfo.InvariantCulture) : null;
        if (fault is not null)
        {
            activity.SetTag("error.type", fault).SetStatus(ActivityStatusCode.Error);
        }
    }
}
