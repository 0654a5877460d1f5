using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Proxy;

/// <summary>Everything under <c>/v1/</c>: checks who asks, reads the request once, and hands it to the <see cref="AttemptLoop"/>.</summary>
internal sealed partial class ProxyEndpoint(
    PoolSource pools, AttemptLoop loop, ModelsEndpoint models, KeyGate gate, BalancerMetrics metrics, TimeProvider time, ILogger<ProxyEndpoint> log)
{
    /// <summary>Larger heads than this many bytes get 431. The server in front takes somewhat more, so that this answer can be given.</summary>
    public const int HeadLimit = 64 * 1024;

    private const string Prefix = "/v1/";

    private const int LargestRead = 64 * 1024;

    /// <summary>Routes whose requests change something at the backend: repeated only when the backend refused them.</summary>
    private static readonly string[] Unrepeatable =
        ["files", "uploads", "batches", "fine_tuning", "vector_stores", "assistants", "threads", "containers", "evals", "conversations"];

    public Task HandleAsync(HttpContext http) => RequestSpan.IsWanted ? RequestSpan.RunAsync(http, AnswerAsync) : AnswerAsync(http);

    private async Task AnswerAsync(HttpContext http)
    {
        var requestId = RequestIds.For(http);
        try
        {
            if (Refuse(http, out var key) is { } refusal)
            {
                await RefuseAsync(http, requestId, refusal);
            }
            else if (PathOf(http.Request) is var path && ModelsEndpoint.Serves(http.Request.Method, path))
            {
                if (await models.WriteAsync(http, pools.Current, path, key, requestId) is { } error)
                {
                    await RefuseAsync(http, requestId, error);
                }
            }
            else
            {
                await ForwardAsync(http, path, requestId, key);
            }
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client left; there is nobody to tell.
        }
        catch (BadHttpRequestException exception)
        {
            await WriteBadRequestAsync(http, requestId, exception);
        }
        catch (Exception exception) when (exception is not TruncatedAnswerException)
        {
            LogBug(exception, requestId);
            if (http.Response.HasStarted)
            {
                throw new TruncatedAnswerException();
            }

            http.Response.Clear();
            await new ErrorAnswer(StatusCodes.Status500InternalServerError, "server_error", "internal_error",
                "The balancer failed on this request; its log says why under the request's id.").WriteAsync(http, requestId);
        }
    }

    private static string PathOf(HttpRequest request) =>
        request.Path.ToUriComponent() is var path && path.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)
            ? path.AsSpan(Prefix.Length) is RequestReader.ChatPath ? RequestReader.ChatPath : path[Prefix.Length..]
            : "";

    /// <summary>
    /// The server has resolved dot segments once; one that was escaped twice, or hides behind an escaped slash, would be resolved after us, and
    /// lead out of the backend's base URL with the backend's key.
    /// </summary>
    private static bool HasDotSegment(string path)
    {
        if (!path.Contains("..", StringComparison.Ordinal) && !path.Contains('%', StringComparison.Ordinal))
        {
            return false;
        }

        var plain = Uri.UnescapeDataString(path).AsSpan();
        foreach (var segment in plain.SplitAny('/', '\\'))
        {
            if (plain[segment] is "." or "..")
            {
                return true;
            }
        }

        return false;
    }

    private static string[] TagsOf(HttpRequest request) =>
        request.Headers["X-Backend-Tags"] is { Count: > 0 } tags
            ? tags.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : [];

    private static bool IsRepeatable(string method, string path, ApiShape shape) =>
        shape != ApiShape.Other || HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || !IsUnrepeatable(path);

    private static bool IsUnrepeatable(string path)
    {
        foreach (var route in Unrepeatable)
        {
            if (path.StartsWith(route, StringComparison.OrdinalIgnoreCase) && (path.Length == route.Length || path[route.Length] == '/'))
            {
                return true;
            }
        }

        return false;
    }

    private Task RefuseAsync(HttpContext http, string requestId, ErrorAnswer refusal)
    {
        metrics.Refused(refusal.Code);
        return refusal.WriteAsync(http, requestId);
    }

    private Task WriteBadRequestAsync(HttpContext http, string requestId, BadHttpRequestException exception)
    {
        if (http.Response.HasStarted)
        {
            throw new TruncatedAnswerException();
        }

        var error = exception.StatusCode == StatusCodes.Status413PayloadTooLarge
            ? new ErrorAnswer(exception.StatusCode, "invalid_request_error", "request_too_large", "The request's body is too large.")
            : new ErrorAnswer(exception.StatusCode, "invalid_request_error", "bad_request", exception.Message);
        return RefuseAsync(http, requestId, error);
    }

    private ErrorAnswer? Refuse(HttpContext http, out ClientKey? key)
    {
        key = null;
        if (HeadSize(http.Request) > HeadLimit)
        {
            return new ErrorAnswer(StatusCodes.Status431RequestHeaderFieldsTooLarge, "invalid_request_error", "headers_too_large",
                $"The request's headers are larger than {HeadLimit} bytes.");
        }

        if (HasDotSegment(http.Request.Path.ToUriComponent()))
        {
            return new ErrorAnswer(StatusCodes.Status404NotFound, "invalid_request_error", ErrorAnswer.UnknownUrl, "Unknown request URL: a path may not climb.");
        }

        if (HttpMethods.IsTrace(http.Request.Method) || HttpMethods.IsConnect(http.Request.Method))
        {
            // A backend that answers TRACE would show the client the head that it got, its key included.
            return new ErrorAnswer(StatusCodes.Status405MethodNotAllowed, "invalid_request_error", "method_not_allowed", "This method is not passed on.");
        }

        var keys = pools.Current.Keys;
        if (keys.IsOpen)
        {
            return null;
        }

        key = keys.Match(http.Request);
        return key is not null ? gate.Expired(key)
            : new ErrorAnswer(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key",
                "Incorrect or missing API key: send one of the balancer's keys as 'Authorization: Bearer KEY'.");
    }

    private static int HeadSize(HttpRequest request)
    {
        var size = 0;
        foreach (var (name, values) in request.Headers)
        {
            foreach (var value in values)
            {
                size += name.Length + (value?.Length ?? 0) + 4;
            }
        }

        return size;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ForwardAsync(HttpContext http, string path, string requestId, ClientKey? key)
    {
        var pool = pools.Current;
        var startedAt = time.GetTimestamp();
        var shape = ApiShapes.Of(path);
        using var body = new PooledBytes();
        if (await ReadBodyAsync(http.Request, pool.Options, startedAt, body) is { } refusal)
        {
            await RefuseAsync(http, requestId, refusal);
            return;
        }

        if (!RequestReader.TryRead(body.Span, path, ContentTypeOf(http.Request, body.Span), out var facts, out var error))
        {
            await RefuseAsync(http, requestId, ErrorAnswer.Invalid(error!));
            return;
        }

        using var exchange = new Exchange(http, pool, time)
        {
            StartedAt = startedAt,
            KeepAlive = facts.Stream && pool.Options.StreamKeepAlive is { } period && period > TimeSpan.Zero ? new KeepAlive(http, requestId, period, time) : null,
            Path = path,
            Body = body.Memory,
            Facts = facts,
            Shape = shape,
            Tags = TagsOf(http.Request),
            AffinityKey = pool.Strategy is ConsistentHash ? AffinityOf(http.Request, facts, body.Span) : 0,
            RequestId = requestId,
            KeyName = key?.Name,
            MayExplain = http.Request.Headers["X-Debug-Routing"] == "1" && (key is null || pool.Options.DebugKeys.Contains(key.Name)),
            IsRepeatable = IsRepeatable(http.Request.Method, path, shape),
        };
        if (key is not null && gate.Enter(exchange, key) is { } notPermitted)
        {
            await RefuseAsync(http, requestId, notPermitted);
            return;
        }

        try
        {
            await (pool.Options.Mode == BalancingMode.SingleBackend ? loop.RunDirectAsync(exchange) : loop.RunAsync(exchange));
        }
        finally
        {
            if (key is not null)
            {
                gate.Leave(exchange, key);
            }
        }
    }

    /// <summary>A JSON body sent by a plain <c>curl -d</c> calls itself a form; it is read for what it is.</summary>
    private static string? ContentTypeOf(HttpRequest request, ReadOnlySpan<byte> body) =>
        body is [(byte)'{', ..] && request.ContentType is { } type && type.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)
            ? "application/json"
            : request.ContentType;

    private static ulong AffinityOf(HttpRequest request, RequestFacts facts, ReadOnlySpan<byte> body) =>
        request.Headers["X-Session-Id"] is { Count: > 0 } session ? AffinityHash.Of(System.Text.Encoding.UTF8.GetBytes(session.ToString()))
        : facts.Affinity.IsPresent ? AffinityHash.Of(facts.Affinity.In(body)) : 0;

    /// <remarks>The server itself ends a read that brings next to nothing, so the total time need only be looked at between two reads.</remarks>
    private async ValueTask<ErrorAnswer?> ReadBodyAsync(HttpRequest request, BalancerOptions options, long startedAt, PooledBytes body)
    {
        var limit = options.MaxBodyBytes;
        var announced = request.ContentLength;
        if (request.Headers.ContentEncoding.Count > 0 && request.Headers.ContentEncoding.ToString() is { Length: > 0 } coding and not "identity")
        {
            return new ErrorAnswer(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "unsupported_content_encoding",
                $"The request's body is encoded as '{coding}'; send it without Content-Encoding.")
            { Param = "Content-Encoding" };
        }

        while (announced is null || announced <= limit)
        {
            if (body.Length == announced)
            {
                return null;
            }

            // Memory follows what has come, not what was announced: an announcement costs its sender nothing.
            var free = body.GetMemory((int)Math.Min(announced - body.Length ?? 4096, LargestRead));
            var read = await request.Body.ReadAsync(free, request.HttpContext.RequestAborted);
            if (body.IsLarge)
            {
                await Task.Yield();
            }

            if (read == 0)
            {
                return null;
            }

            body.Advance(read);
            if (body.Length > limit)
            {
                break;
            }

            if (time.GetElapsedTime(startedAt) > options.TotalTimeout)
            {
                return new ErrorAnswer(StatusCodes.Status408RequestTimeout, "invalid_request_error", "request_too_slow", "The request did not arrive within its total time.");
            }
        }

        return new ErrorAnswer(StatusCodes.Status413PayloadTooLarge, "invalid_request_error", "request_too_large", $"The request's body is larger than {limit} bytes.");
    }

    [LoggerMessage(3100, LogLevel.Error, "Request {RequestId} failed by a fault of the balancer")]
    private partial void LogBug(Exception exception, string requestId);
}
