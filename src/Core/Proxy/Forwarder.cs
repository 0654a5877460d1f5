using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Roadbalancer.Backends;
using Roadbalancer.Telemetry;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>Sends requests to backends over one shared connection pool: no redirects, cookies, proxy or decompression; answers' headers first.</summary>
internal sealed class Forwarder(TimeProvider time) : IDisposable
{
    private readonly WirePool _connections = new(time);

    /// <summary>What times the attempts.</summary>
    public AttemptClocks Clocks { get; } = new(time);

    /// <summary>Sends the exchange's request to <paramref name="backend"/>. Throws what <see cref="WirePool.SendAsync"/> throws; the caller turns that into an outcome.</summary>
    /// <param name="body">The body as this backend gets it.</param>
    /// <param name="span">What the backend's own trace continues; null leaves the client's <c>traceparent</c> as it came.</param>
    public ValueTask<WireResponse> SendAsync(Exchange exchange, Backend backend, ReadOnlySequence<byte> body, AttemptSpan? span, CancellationToken cancellationToken)
    {
        var from = exchange.Http.Request;
        var route = BackendRoute.Of(backend);
        var request = new WireRequest(from.Method, route.TargetOf(exchange.Path, exchange.Shape, from.QueryString.Value), route.Host);
        CopyHeaders(exchange, backend, route, span is not null, request);
        span?.PassOn(request, route);
        request.Add(route.OwnLines);
        request.End(body, hasBody: !(HttpMethods.IsGet(from.Method) || HttpMethods.IsHead(from.Method) || HttpMethods.IsDelete(from.Method)));
        return _connections.SendAsync(request, route.Origin, backend.ConnectTimeout, cancellationToken);
    }

    /// <summary>Sends a request of our own, a probe or a look at the models, with the backend's credentials.</summary>
    /// <param name="uri">Below the backend's base URL, or its host: see <see cref="Resolve"/>.</param>
    public async ValueTask<WireResponse> GetAsync(Backend backend, Uri uri, CancellationToken cancellationToken)
    {
        try
        {
            return await GetOnceAsync(backend, uri, cancellationToken);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ResponseEnded)
        {
            // Most likely it was closing an idle connection at that moment, which is not a sign of ill health.
            return await GetOnceAsync(backend, uri, cancellationToken);
        }
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
        _connections.Dispose();
        Clocks.Dispose();
    }

    private ValueTask<WireResponse> GetOnceAsync(Backend backend, Uri uri, CancellationToken cancellationToken)
    {
        var route = BackendRoute.Of(backend);
        var request = new WireRequest(HttpMethods.Get, uri.PathAndQuery, route.Host);
        request.Add(route.OwnLines);
        request.End(default, hasBody: false);
        return _connections.SendAsync(request, route.Origin, backend.ConnectTimeout, cancellationToken);
    }

    private static void CopyHeaders(Exchange exchange, Backend backend, BackendRoute route, bool isTraced, WireRequest request)
    {
        var from = exchange.Http.Request.Headers;
        var connection = from.Connection;
        foreach (var (name, values) in from)
        {
            var passes = HeaderRules.PassesToBackend(name)
                || (HeaderRules.CredentialPasses(name, backend, exchange.KeyName is not null) && !exchange.Pool.AdminKeys.IsIn(values.ToString()));
            var isOurs = name.Equals(RequestIds.Header, StringComparison.OrdinalIgnoreCase) || route.Sets(name) || (isTraced && AttemptSpan.Sets(name));
            if (passes && !isOurs && !(connection.Count > 0 && HeaderRules.IsNamedBy(connection, name)))
            {
                request.Add(name, values);
            }
        }

        // A stream is read here event by event: asked for uncoded, so that no client waits for a coder's block to fill.
        var coding = exchange.Facts.Stream ? "identity" : from.AcceptEncoding.ToString();
        if (coding.Length > 0 && !route.Sets(HeaderNames.AcceptEncoding))
        {
            request.Add(HeaderNames.AcceptEncoding, coding);
        }

        if (!route.Sets(RequestIds.Header))
        {
            request.Add(RequestIds.Header, exchange.RequestId);
        }
    }
}
