using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Roadbalancer.Cli.Api;

/// <summary>What came of a call: the data, or the problem in a sentence for the user.</summary>
/// <param name="Data">The reply's <c>data</c>; undefined with a problem.</param>
/// <param name="Message">The reply's <c>message</c>, if any.</param>
/// <param name="Problem">What went wrong and what to do next; null when all went well. Without any secret.</param>
internal readonly record struct ApiReply(JsonElement Data, string? Message, string? Problem);

/// <summary>An open stream, or the problem in its place.</summary>
/// <param name="Response">The stream.</param>
/// <param name="Problem">As in <see cref="ApiReply"/>.</param>
/// <param name="IsRefusal">The key does not open it: to ask again is of no use.</param>
internal sealed record ApiStream(HttpResponseMessage? Response, string? Problem, bool IsRefusal = false) : IDisposable
{
    public void Dispose() => Response?.Dispose();
}

/// <summary>Speaks HTTP with one balancer. What goes wrong on the way is told, not thrown; only cancellation is.</summary>
internal sealed class ApiClient : IDisposable
{
    private const string Prefix = "api/v1/load_balancer/";

    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(30);

    private readonly HttpClient _http;
    private readonly Uri _server;
    private readonly string? _key;

    /// <param name="server">Ends in a slash.</param>
    /// <param name="key">An admin key; null for none.</param>
    public ApiClient(Uri server, string? key)
    {
        (_server, _key) = (server, key);

        // A redirect is not followed, since the key would go with it; a proxy for the web does not know this machine's loopback.
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = !server.IsLoopback, ConnectTimeout = TimeSpan.FromSeconds(10) })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("roadbalancer-cli", typeof(ApiClient).Assembly.GetName().Version?.ToString(3)));
    }

    /// <summary>Where the balancer is, without a slash at the end.</summary>
    public string Server => _server.AbsoluteUri.TrimEnd('/');

    /// <summary>Calls the management API.</summary>
    /// <param name="path">Behind the prefix: <c>backends/gpu1</c>, escaped.</param>
    /// <param name="longest">For the whole call; default 30 s.</param>
    public async Task<ApiReply> SendAsync(HttpMethod method, string path, JsonObject? body, CancellationToken cancellationToken, TimeSpan? longest = null)
    {
        using var request = Request(method, path, body);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(longest ?? Usual);
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token);
            var text = await response.Content.ReadAsByteArrayAsync(limit.Token);
            return Read(response, text);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new(default, null, ApiProblem.Silent(Server, longest ?? Usual));
        }
        catch (HttpRequestException exception)
        {
            return new(default, null, ApiProblem.Unreachable(Server, exception));
        }
    }

    /// <summary>Opens a stream of events; the caller disposes it.</summary>
    public async Task<ApiStream> OpenAsync(string path, string? lastEventId, CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Get, path, null);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (lastEventId is not null)
        {
            request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
        }

        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == "text/event-stream")
            {
                return new(response, null);
            }
        }
        catch (HttpRequestException exception)
        {
            return new(null, ApiProblem.Unreachable(Server, exception));
        }

        using (response)
        {
            var problem = Read(response, await response.Content.ReadAsByteArrayAsync(cancellationToken)).Problem ?? ApiProblem.NotABalancer(Server);
            return new(null, problem, response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden);
        }
    }

    /// <summary>Calls what clients call, with a client key and never with the admin key: that one might be passed on to a backend.</summary>
    /// <param name="path">From the server's root: <c>v1/chat/completions</c>.</param>
    /// <exception cref="HttpRequestException">The balancer cannot be reached, or broke off.</exception>
    public async Task<HttpResponseMessage> AskAsync(HttpMethod method, string path, string? clientKey, JsonObject? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri(_server, path)) { Content = Json(body) };
        if (clientKey is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + clientKey);
        }

        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Request(HttpMethod method, string path, JsonObject? body)
    {
        var request = new HttpRequestMessage(method, new Uri(_server, Prefix + path)) { Content = Json(body) };
        if (_key is not null)
        {
            request.Headers.TryAddWithoutValidation("X-API-Key", _key);
        }

        return request;
    }

    private static StringContent? Json(JsonObject? body) => body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");

    private ApiReply Read(HttpResponseMessage response, byte[] body)
    {
        JsonElement json = default;
        try
        {
            using var document = JsonDocument.Parse(body);
            json = document.RootElement.Clone();
        }
        catch (JsonException)
        {
            // Not a balancer's reply; told below.
        }

        if (response.IsSuccessStatusCode && json.Text("status") == "success")
        {
            return new(json.Member("data"), json.Text("message"), null);
        }

        return new(default, null, ApiProblem.Of(Server, response, json, hasKey: _key is not null));
    }
}
