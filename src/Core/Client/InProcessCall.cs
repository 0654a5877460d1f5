using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Roadbalancer.Proxy;

namespace Roadbalancer.Client;

/// <summary>
/// One HTTP exchange without a connection: the request as the <see cref="ProxyEndpoint"/> reads it from a server, and an answer that streams
/// through a pipe to whoever asked. What a server does for the endpoint (start, flush, complete, abort) is done here in memory.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The cancellation holds no timer, and the endpoint may look at its token after the reader has gone.")]
internal sealed class InProcessCall : IHttpResponseFeature, IHttpResponseBodyFeature, IHttpRequestLifetimeFeature
{
    private readonly Pipe _pipe = new(new PipeOptions(useSynchronizationContext: false));
    private readonly CancellationTokenSource _left = new();
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly AnswerWriter _writer;
    private List<Func<Task>>? _starting;
    private List<Func<Task>>? _completed;
    private Stream? _stream;
    private Exception? _fault;
    private bool _isComplete;

    public InProcessCall(HttpRequestMessage request, byte[] body)
    {
        _writer = new AnswerWriter(this, _pipe.Writer);
        Reader = _pipe.Reader;
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(RequestOf(request, body));
        features.Set<IHttpResponseFeature>(this);
        features.Set<IHttpResponseBodyFeature>(this);
        features.Set<IHttpRequestLifetimeFeature>(this);
        Http = new DefaultHttpContext(features);
    }

    public HttpContext Http { get; }

    /// <summary>The answer's body; its end means nothing before <see cref="ThrowIfBroken"/> has been asked.</summary>
    public PipeReader Reader { get; }

    /// <summary>Ends when status and headers are there; fails when they will never be.</summary>
    public Task Started => _started.Task;

    /// <summary>Ends when the exchange is over and has been counted; never fails.</summary>
    public Task Settled => _settled.Task;

    public int StatusCode { get; set; } = StatusCodes.Status200OK;

    public string? ReasonPhrase { get; set; }

    public IHeaderDictionary Headers { get; set; } = new HeaderDictionary();

    public bool HasStarted { get; private set; }

    public Stream Stream => _stream ??= _writer.AsStream(leaveOpen: true);

    public PipeWriter Writer => _writer;

    Stream IHttpResponseFeature.Body
    {
        get => Stream;
        set => throw new NotSupportedException("The body is written through IHttpResponseBodyFeature.");
    }

    CancellationToken IHttpRequestLifetimeFeature.RequestAborted
    {
        get => _left.Token;
        set => throw new NotSupportedException("The token is the exchange's own.");
    }

    /// <summary>Runs the exchange to its end.</summary>
    public async Task RunAsync(ProxyEndpoint endpoint)
    {
        try
        {
            await endpoint.HandleAsync(Http);
            if (!_left.IsCancellationRequested)
            {
                await StartAsync(CancellationToken.None);
            }
        }
        catch (TruncatedAnswerException exception)
        {
            _fault ??= new HttpIOException(HttpRequestError.ResponseEnded, "The answer broke off and could not be completed.", exception);
        }
        catch (Exception exception)
        {
            _fault ??= exception;
        }

        await EndAsync();
    }

    /// <summary>Whoever asked is gone, or has had enough; the exchange ends as soon as it notices.</summary>
    /// <param name="reason">What a reader that goes on all the same is told; null for a cancellation.</param>
    public void Leave(Exception? reason = null)
    {
        if (reason is not null)
        {
            Interlocked.CompareExchange(ref _fault, reason, null);
        }

        _left.Cancel();
    }

    /// <summary>As <see cref="Leave"/>, and whoever waits for the answer's beginning is told at once.</summary>
    public void Cancel(CancellationToken cancellationToken)
    {
        _started.TrySetCanceled(cancellationToken);
        Leave();
    }

    /// <exception cref="IOException">The answer has ended without being whole.</exception>
    public void ThrowIfBroken()
    {
        if (Volatile.Read(ref _fault) is { } fault)
        {
            throw fault is IOException or ObjectDisposedException or OperationCanceledException
                ? fault
                : new HttpIOException(HttpRequestError.ResponseEnded, "The answer could not be completed.", fault);
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        if (HasStarted)
        {
            return;
        }

        for (var index = (_starting?.Count ?? 0) - 1; index >= 0; index--)
        {
            await _starting![index]();
        }

        HasStarted = true;
        _started.TrySetResult();
    }

    public async Task CompleteAsync()
    {
        await StartAsync();
        _isComplete = true;
        await _pipe.Writer.CompleteAsync();
    }

    public void DisableBuffering()
    {
    }

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(Stream, path, offset, count, cancellationToken);

    public void OnStarting(Func<object, Task> callback, object state) => (_starting ??= []).Add(() => callback(state));

    public void OnCompleted(Func<object, Task> callback, object state) => (_completed ??= []).Add(() => callback(state));

    void IHttpRequestLifetimeFeature.Abort() => Leave(new HttpIOException(HttpRequestError.ResponseEnded, "The exchange was aborted."));

    private async Task EndAsync()
    {
        if (!_isComplete)
        {
            if (_left.IsCancellationRequested)
            {
                // Nobody was to hear the rest: should somebody read on, what has come is not the whole.
                _fault ??= new OperationCanceledException("The exchange was cancelled.", _left.Token);
            }

            await _pipe.Writer.CompleteAsync();
        }

        if (_fault is OperationCanceledException)
        {
            _started.TrySetCanceled(_left.Token);
        }
        else
        {
            _started.TrySetException(_fault ?? new HttpIOException(HttpRequestError.ResponseEnded, "The exchange ended without an answer."));
        }

        // Seen here, so that an exchange that nobody waits for any more leaves no unobserved exception behind.
        _ = _started.Task.Exception;
        for (var index = (_completed?.Count ?? 0) - 1; index >= 0; index--)
        {
            try
            {
                await _completed![index]();
            }
            catch (Exception)
            {
                // As in a server: what is left to do after an answer has nobody to fail to.
            }
        }

        _settled.TrySetResult();
    }

    private static HttpRequestFeature RequestOf(HttpRequestMessage request, byte[] body)
    {
        var uri = request.RequestUri ?? throw new ArgumentException("The request has no address.", nameof(request));
        var (path, query) = RequestPath.Map(uri);
        var feature = new HttpRequestFeature
        {
            Protocol = "HTTP/1.1",
            Scheme = uri.IsAbsoluteUri ? uri.Scheme : "http",
            Method = request.Method.Method,
            Path = PathString.FromUriComponent(path).Value!,
            QueryString = query,
            RawTarget = path + query,
            Body = body.Length == 0 ? Stream.Null : new MemoryStream(body, writable: false),
        };
        Copy(request.Headers.NonValidated, feature.Headers);
        if (request.Content is { } content)
        {
            Copy(content.Headers.NonValidated, feature.Headers);
            feature.Headers.ContentLength = body.Length;
        }

        return feature;
    }

    private static void Copy(System.Net.Http.Headers.HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
        {
            to[name] = values.Count == 1 ? new StringValues(values.ToString()) : new StringValues([.. values]);
            foreach (var value in values)
            {
                // No server would ever let these through to the endpoint, where they would be taken for a backend's fault.
                if (value.AsSpan().IndexOfAnyExceptInRange('\u0001', '\u00ff') >= 0 || value.AsSpan().IndexOfAny('\r', '\n') >= 0)
                {
                    throw new HttpRequestException($"The value of the header '{name}' cannot be sent.");
                }
            }
        }
    }

    /// <summary>The pipe's writer, whose first flush starts the response as a server's would.</summary>
    private sealed class AnswerWriter(InProcessCall call, PipeWriter inner) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes) => inner.Advance(bytes);

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null)
        {
            // The response completes the pipe, whatever a writer thinks of itself.
        }

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) =>
            call.HasStarted ? inner.FlushAsync(cancellationToken) : StartAndFlushAsync(cancellationToken);

        private async ValueTask<FlushResult> StartAndFlushAsync(CancellationToken cancellationToken)
        {
            await call.StartAsync(cancellationToken);
            return await inner.FlushAsync(cancellationToken);
        }
    }
}
