using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Roadbalancer.Backends;
using Roadbalancer.Telemetry;

namespace Roadbalancer.Proxy;

/// <summary>Sends requests to backends over one shared connection pool: no redirects, cookies, proxy or decompression; answers' headers first.</summary>
internal sealed class Forwarder(TimeProvider time) : IDisposable
{
    private readonly HttpMessageInvoker _upstream = new(
        new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            MaxConnectionsPerServer = int.MaxValue,
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(90),
            // Names are looked up again now and then, so that a backend that moved is found.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            ConnectCallback = ConnectAsync,

            // As the server reads and writes them: bytes, whatever their charset.
            RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
            ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        },
        disposeHandler: true);

    /// <summary>What times the attempts.</summary>
    public AttemptClocks Clocks { get; } = new(time);

    /// <summary>
    /// Sends the exchange's request to <paramref name="backend"/>. Throws what <see cref="HttpMessageInvoker"/> throws; the caller turns that into an outcome.
    /// </summary>
    /// <param name="body">The body as this backend gets it.</param>
    /// <param name="span">What the backend's own trace continues; null leaves the client's <c>traceparent</c> as it came.</param>
    public Task<HttpResponseMessage> SendAsync(
        Exchange exchange, Backend backend, ReadOnlySequence<byte> body, AttemptSpan? span, CancellationToken cancellationToken)
    {
        var from = exchange.Http.Request;
        var uri = BackendRoute.Of(backend).UriFor(exchange.Path, exchange.Shape, from.QueryString.Value);
        var message = new BackendRequest(HttpMethod.Parse(from.Method), uri, backend) { Version = HttpVersion.Version11 };
        if (body.Length > 0 || !(HttpMethods.IsGet(from.Method) || HttpMethods.IsHead(from.Method) || HttpMethods.IsDelete(from.Method)))
        {
            message.Content = new BodyContent(exchange, body);
        }

        CopyHeaders(exchange, backend, message);
        span?.PassOn(message.Headers);
        return _upstream.SendAsync(message, cancellationToken);
    }

    /// <summary>Sends a request of our own, a probe or a look at the models, with the backend's credentials.</summary>
    public Task<HttpResponseMessage> GetAsync(Backend backend, Uri uri, CancellationToken cancellationToken)
    {
        var message = new BackendRequest(HttpMethod.Get, uri, backend) { Version = HttpVersion.Version11 };
        AddOwnHeaders(backend, message);
        return _upstream.SendAsync(message, cancellationToken);
    }

    /// <summary>An absolute address below the backend's base URL (below its host, for a path that begins with a slash), with the backend's own query.</summary>
    public static Uri Resolve(Backend backend, string path)
    {
        var root = path.StartsWith('/') ? backend.BaseUrl.GetLeftPart(UriPartial.Authority) : backend.BaseUrl.AbsoluteUri.TrimEnd('/') + "/";
        var query = backend.Query.Length == 0 ? "" : (path.Contains('?', StringComparison.Ordinal) ? "&" : "?") + backend.Query;
        return new Uri(root + path + query);
    }

    public void Dispose()
    {
        _upstream.Dispose();
        Clocks.Dispose();
    }

    private static void CopyHeaders(Exchange exchange, Backend backend, HttpRequestMessage message)
    {
        var from = exchange.Http.Request.Headers;
        var connection = from.Connection;
        foreach (var (name, values) in from)
        {
            var passes = HeaderRules.PassesToBackend(name) || HeaderRules.CredentialPasses(name, backend, exchange.KeyName is not null);
            if (passes && !name.Equals(RequestIds.Header, StringComparison.OrdinalIgnoreCase) && !(connection.Count > 0 && HeaderRules.IsNamedBy(connection, name)))
            {
                Add(message, name, values);
            }
        }

        // A stream is read here event by event: asked for uncoded, so that no client waits for a coder's block to fill.
        Add(message, HeaderNames.AcceptEncoding, exchange.Facts.Stream ? "identity" : from.AcceptEncoding);
        message.Headers.TryAddWithoutValidation(RequestIds.Header, exchange.RequestId);
        AddOwnHeaders(backend, message);
    }

    private static void AddOwnHeaders(Backend backend, HttpRequestMessage message)
    {
        if (BackendRoute.Of(backend).Authorization is { } authorization)
        {
            message.Headers.TryAddWithoutValidation(HeaderNames.Authorization, authorization);
        }
        else if (backend is { ApiKey: { } plainKey, Auth: BackendAuth.ApiKey })
        {
            message.Headers.TryAddWithoutValidation("api-key", plainKey);
        }

        foreach (var (name, value) in backend.Headers)
        {
            Remove(message.Headers, name);
            Remove(message.Content?.Headers, name);
            Add(message, name, value);
        }
    }

    /// <summary>A collection throws when it is asked to remove a header of the other kind: asked only for what it has.</summary>
    private static void Remove(HttpHeaders? headers, string name)
    {
        if (headers?.NonValidated.Contains(name) == true)
        {
            headers.Remove(name);
        }
    }

    private static void Add(HttpRequestMessage message, string name, Microsoft.Extensions.Primitives.StringValues values)
    {
        if (values.Count == 0)
        {
            return;
        }

        if (values.Count == 1)
        {
            if (!message.Headers.TryAddWithoutValidation(name, values.ToString()))
            {
                message.Content?.Headers.TryAddWithoutValidation(name, values.ToString());
            }
        }
        else if (!message.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
        {
            message.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
    }

    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var limit = context.InitialRequestMessage is BackendRequest request ? request.Backend.ConnectTimeout : Timeout.InfiniteTimeSpan;
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(limit);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, timer.Token);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new TimeoutException("No connection in time.");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
