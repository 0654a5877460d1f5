using System.Globalization;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using Roadbalancer.Client;

namespace Roadbalancer;

/// <content>Chat, streams and embeddings.</content>
public sealed partial class LoadBalancer
{
    private const string ChatPath = "http://roadbalancer/v1/chat/completions";
    private const string EmbedPath = "http://roadbalancer/v1/embeddings";

    /// <summary>Asks for a chat completion.</summary>
    /// <param name="messages">The conversation, at least one message.</param>
    /// <param name="tools">Functions that the model may call; null for none.</param>
    /// <param name="temperature">0 to 2; null for the endpoint's default.</param>
    /// <param name="maxTokens">The longest answer in tokens, from 1; null for the endpoint's default.</param>
    /// <param name="model">The model; null for the endpoint's <see cref="Endpoint.ModelName"/>, or what it takes by itself.</param>
    /// <param name="extras">Session, tags, and further fields of the request; null for none.</param>
    /// <param name="cancellationToken">Ends the request and frees its endpoint.</param>
    /// <returns>What came of it, success or not.</returns>
    /// <exception cref="ArgumentException">An argument is null, empty or out of its range.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed, or was while the answer was under way.</exception>
    public Task<ChatResult> ChatAsync(
        IEnumerable<Message> messages, IEnumerable<Tool>? tools = null, double? temperature = null, int? maxTokens = null, string? model = null,
        ChatExtras? extras = null, CancellationToken cancellationToken = default)
    {
        var request = ChatRequest(messages, tools, temperature, maxTokens, model, stream: false, extras);
        _engine.ThrowIfDisposed();
        return SendAsync(request, WholeReader.Chat, new ChatResult(), cancellationToken);
    }

    /// <summary>As <see cref="ChatAsync"/>, for callers that cannot await. It cannot deadlock: nothing of it needs the calling thread.</summary>
    /// <inheritdoc cref="ChatAsync"/>
    public ChatResult Chat(
        IEnumerable<Message> messages, IEnumerable<Tool>? tools = null, double? temperature = null, int? maxTokens = null, string? model = null,
        ChatExtras? extras = null, CancellationToken cancellationToken = default) =>
        Blocking.Wait(() => ChatAsync(messages, tools, temperature, maxTokens, model, extras, cancellationToken));

    /// <summary>Asks for a chat completion and gives it out as it comes. Nothing is sent before the first item is asked for; ending early frees the endpoint.</summary>
    /// <inheritdoc cref="ChatAsync"/>
    /// <returns>The pieces of the answer; the last one has <see cref="ChatDelta.Result"/> and <see cref="ChatDelta.Usage"/>, success or not.</returns>
    public IAsyncEnumerable<ChatDelta> StreamAsync(
        IEnumerable<Message> messages, IEnumerable<Tool>? tools = null, double? temperature = null, int? maxTokens = null, string? model = null,
        ChatExtras? extras = null, CancellationToken cancellationToken = default)
    {
        var body = ChatRequest(messages, tools, temperature, maxTokens, model, stream: true, extras);
        _engine.ThrowIfDisposed();
        return StreamAsync(body, cancellationToken);
    }

    /// <summary>Asks for the vector of one text.</summary>
    /// <inheritdoc cref="EmbedAsync(IEnumerable{string}, string?, int?, CancellationToken)"/>
    /// <param name="input">The text.</param>
    public Task<EmbedResult> EmbedAsync(string input, string? model = null, int? dimensions = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(input);
        return EmbedAsync([input], model, dimensions, cancellationToken);
    }

    /// <summary>Asks for the vectors of texts.</summary>
    /// <param name="inputs">The texts, at least one.</param>
    /// <param name="model">The model; null for the endpoint's <see cref="Endpoint.ModelName"/>, or what it takes by itself.</param>
    /// <param name="dimensions">The vectors' length, from 1; null for the model's own.</param>
    /// <param name="cancellationToken">Ends the request and frees its endpoint.</param>
    /// <returns>What came of it, success or not.</returns>
    /// <exception cref="ArgumentException">An argument is null, empty or out of its range.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The balancer has been disposed, or was while the answer was under way.</exception>
    public Task<EmbedResult> EmbedAsync(
        IEnumerable<string> inputs, string? model = null, int? dimensions = null, CancellationToken cancellationToken = default)
    {
        var texts = ListOf(inputs, nameof(inputs));
        if (dimensions is { } count)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count, nameof(dimensions));
        }

        _engine.ThrowIfDisposed();
        var request = RequestTo(EmbedPath, RequestBody.Embed(texts, model, dimensions), extras: null);
        return SendAsync(request, (head, body) => WholeReader.Embeddings(head, body, texts.Count), new EmbedResult(), cancellationToken);
    }

    private static HttpRequestMessage ChatRequest(
        IEnumerable<Message> messages, IEnumerable<Tool>? tools, double? temperature, int? maxTokens, string? model, bool stream, ChatExtras? extras)
    {
        var list = ListOf(messages, nameof(messages));
        var functions = tools is null ? [] : tools.ToList();
        if (functions.Contains(null!))
        {
            throw new ArgumentException("A tool is null.", nameof(tools));
        }

        if (temperature is { } degree && !(degree is >= 0 and <= 2))
        {
            throw new ArgumentOutOfRangeException(nameof(temperature), degree, "The temperature is 0 to 2.");
        }

        if (maxTokens is { } tokens)
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(tokens, nameof(maxTokens));
        }

        return RequestTo(ChatPath, RequestBody.Chat(list, functions, temperature, maxTokens, model, stream, extras?.Fields), extras);
    }

    private static HttpRequestMessage RequestTo(string address, byte[] body, ChatExtras? extras)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        Add("X-Session-Id", extras?.SessionId);
        Add("X-Backend-Tags", extras?.Tags is { Count: > 0 } tags ? string.Join(',', tags) : null);
        return request;

        void Add(string name, string? value)
        {
            if (value is not null && (value.AsSpan().IndexOfAnyExceptInRange(' ', '~') >= 0 || !request.Headers.TryAddWithoutValidation(name, value)))
            {
                throw new ArgumentException("Session ids and tags are printable ASCII.", nameof(extras));
            }
        }
    }

    private static List<T> ListOf<T>(IEnumerable<T> items, string parameter)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(items, parameter);
        var list = items.ToList();
        return list.Count > 0 && !list.Contains(null!) ? list : throw new ArgumentException("There must be at least one, and none of them null.", parameter);
    }

    private static T Headed<T>(T result, HttpResponseMessage response)
        where T : RequestResult => result with
        {
            StatusCode = (int)response.StatusCode,
            Endpoint = HeaderOf(response, "X-Backend"),
            Attempts = int.TryParse(HeaderOf(response, "X-Attempts"), NumberStyles.None, CultureInfo.InvariantCulture, out var attempts) ? attempts : 0,
            RequestId = HeaderOf(response, "X-Request-Id"),
        };

    private static string? HeaderOf(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out var values) ? values.ToString() : null;

    /// <summary>Sends a request whose answer comes whole.</summary>
    /// <param name="request">Disposed here.</param>
    /// <param name="read">Makes the result of a body with a good status.</param>
    /// <param name="empty">The result to begin with.</param>
    /// <param name="cancellationToken">The caller's.</param>
    private async Task<T> SendAsync<T>(HttpRequestMessage request, Func<T, ReadOnlyMemory<byte>, T> read, T empty, CancellationToken cancellationToken)
        where T : RequestResult
    {
        var startedAt = _engine.Time.GetTimestamp();
        using (request)
        using (var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false))
        {
            return await ReadAsync(Headed(empty, response), response, read, startedAt, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<T> ReadAsync<T>(
        T head, HttpResponseMessage response, Func<T, ReadOnlyMemory<byte>, T> read, long startedAt, CancellationToken cancellationToken)
        where T : RequestResult
    {
        T result;
        try
        {
            var body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
            result = response.IsSuccessStatusCode ? read(head, body) : Failed(head, AnswerError.Of(head.StatusCode, body));
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            _engine.ThrowIfDisposed();
            result = Failed(head, AnswerError.Broken);
        }

        return result with { ResponseTime = _engine.Time.GetElapsedTime(startedAt) };
    }

    private static T Failed<T>(T head, AnswerError error)
        where T : RequestResult => head with { Error = error.Message, ErrorCode = error.Code };

    private async IAsyncEnumerable<ChatDelta> StreamAsync(HttpRequestMessage first, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The same stream may be enumerated again: each time is a request of its own.
        var startedAt = _engine.Time.GetTimestamp();
        using var request = await CopyOf(first, cancellationToken).ConfigureAwait(false);
        using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var head = Headed(new ChatResult(), response);
        if (!response.IsSuccessStatusCode || response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            // An error, or the whole answer of an endpoint that does not stream.
            var whole = await ReadAsync(head, response, WholeReader.Chat, startedAt, cancellationToken).ConfigureAwait(false);
            yield return new ChatDelta { Content = whole.Content ?? "", Result = whole };
            yield break;
        }

        var stream = new ChatStream();
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var events = SseParser.Create(body).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        string? broken = null;
        await using (events.ConfigureAwait(false))
        {
            while (true)
            {
                ChatDelta? delta;
                try
                {
                    if (!await events.MoveNextAsync().ConfigureAwait(false))
                    {
                        break;
                    }

                    // What follows the end is read too: the balancer counts an answer as its own once it is read.
                    delta = stream.IsOver ? null : stream.Take(events.Current);
                }
                catch (Exception exception) when (exception is IOException or HttpRequestException)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    _engine.ThrowIfDisposed();
                    broken = AnswerError.Broken.Message;
                    break;
                }

                if (delta is not null)
                {
                    yield return delta;
                }
            }
        }

        await ((AnswerContent)response.Content).Settled.ConfigureAwait(false);
        yield return new ChatDelta { Result = stream.End(head, broken) with { ResponseTime = _engine.Time.GetElapsedTime(startedAt) } };
    }

    private static async Task<HttpRequestMessage> CopyOf(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = await request.Content!.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        var copy = RequestTo(ChatPath, body, extras: null);
        foreach (var (name, values) in request.Headers.NonValidated)
        {
            copy.Headers.TryAddWithoutValidation(name, values.ToString());
        }

        return copy;
    }
}
