using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Roadbalancer.Tests.Support;

/// <summary>What an upstream does with one request. <paramref name="cancellationToken"/> is <see cref="UpstreamConnection.Gone"/>.</summary>
internal delegate Task UpstreamScript(UpstreamRequest request, UpstreamConnection connection, CancellationToken cancellationToken);

/// <summary>
/// An HTTP/1.1 upstream on a bare socket of the loopback, for tests over the whole path: every byte and every way of ending a connection
/// is the script's, and everything that arrives is kept.
/// </summary>
internal sealed class ScriptedUpstream : IAsyncDisposable
{
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<Socket, Task> _connections = new();
    private readonly ConcurrentQueue<Exception> _scriptErrors = new();
    private ImmutableList<UpstreamRequest> _requests = [];
    private ImmutableList<UpstreamRequest> _probes = [];
    private volatile UpstreamScript _script;
    private volatile UpstreamScript? _probeScript = Scripts.Models("scripted-model");
    private CancellationTokenSource _life = new();
    private Socket _listener;
    private Task _accepting;
    private int _accepted;
    private volatile bool _dying;

    private ScriptedUpstream(UpstreamScript script, TimeProvider time)
    {
        _script = script;
        _time = time;
        _listener = Bind(0);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = Listen();
    }

    public int Port { get; }

    /// <summary><c>http://127.0.0.1:PORT/v1</c></summary>
    public Uri BaseUrl => new($"http://127.0.0.1:{Port}/v1");

    /// <summary>What the next request meets; may be changed at any time.</summary>
    public UpstreamScript Script { get => _script; set => _script = value; }

    /// <summary>
    /// What a <c>GET …/models</c> meets, so that health probes neither use up a <see cref="Scripts.Sequence"/> nor appear among the requests;
    /// null hands them to <see cref="Script"/> like any other. Default: a list of one model.
    /// </summary>
    public UpstreamScript? ProbeScript { get => _probeScript; set => _probeScript = value; }

    /// <summary>Whether requests and probes are kept; false for a run so long that they would fill the memory. Default true.</summary>
    public bool Keeps { get; set; } = true;

    /// <summary>Every request in the order of arrival, without the probes.</summary>
    public IReadOnlyList<UpstreamRequest> Requests => Volatile.Read(ref _requests);

    /// <summary>The requests that <see cref="ProbeScript"/> answered.</summary>
    public IReadOnlyList<UpstreamRequest> Probes => Volatile.Read(ref _probes);

    /// <summary>Connections accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>Connections open now.</summary>
    public int Open => _connections.Count;

    /// <summary>What scripts threw, other than because the peer had gone; such a request is answered with a reset.</summary>
    public IReadOnlyCollection<Exception> ScriptErrors => _scriptErrors;

    /// <summary>Binds a free port of 127.0.0.1 and listens.</summary>
    public static ScriptedUpstream Start(UpstreamScript script, TimeProvider? time = null) => new(script, time ?? TimeProvider.System);

    /// <summary>The time between two requests, on this upstream's clock.</summary>
    public TimeSpan Gap(UpstreamRequest earlier, UpstreamRequest later) => _time.GetElapsedTime(earlier.ArrivedAt, later.ArrivedAt);

    /// <summary>From now on connections are refused; open ones go on.</summary>
    public async Task StopAcceptingAsync()
    {
        _listener.Dispose();
        await _accepting;

        // Bound but not listening: connections are refused, and nobody else can take the port meanwhile.
        _listener = Bind(Port);
    }

    /// <summary>Resets every open connection; from now on connections are refused.</summary>
    public async Task KillAsync()
    {
        await StopAcceptingAsync();
        await ResetAllAsync();
        _life.Dispose();
        _life = new();
    }

    /// <summary>Listens again, on the same port, after <see cref="KillAsync"/> or <see cref="StopAcceptingAsync"/>.</summary>
    public Task RestartAsync()
    {
        _dying = false;
        _accepting = Listen();
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        await ResetAllAsync();
        _life.Dispose();
    }

    private static Socket Bind(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private Task Listen()
    {
        _listener.Listen(512);
        return AcceptAsync(_listener, _life.Token);
    }

    private async Task ResetAllAsync()
    {
        _dying = true;
        var serving = _connections.ToArray();
        foreach (var (socket, _) in serving)
        {
            UpstreamConnection.Reset(socket);
        }

        await _life.CancelAsync();
        await Task.WhenAll(serving.Select(pair => pair.Value));
    }

    private async Task AcceptAsync(Socket listener, CancellationToken life)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await listener.AcceptAsync(CancellationToken.None);
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }

            socket.NoDelay = true;
            var number = Interlocked.Increment(ref _accepted) - 1;
            var started = new TaskCompletionSource();
            _connections[socket] = ServeAsync(socket, number, started.Task, life);
            started.SetResult();
        }
    }

    private async Task ServeAsync(Socket socket, int number, Task registered, CancellationToken life)
    {
        await registered;
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(life);
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var pumping = UpstreamPump.RunAsync(socket, pipe.Writer, gone);
        try
        {
            var reader = new UpstreamReader(pipe.Reader);
            Task SendContinue() => new UpstreamConnection(socket, gone.Token).RawAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray());
            while (await reader.ReadAsync(SendContinue, gone.Token) is { } message)
            {
                if (!await AnswerAsync(Record(message, number), new UpstreamConnection(socket, gone.Token)))
                {
                    break;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer left, or this upstream was killed: either is part of the script's world.
        }

        Shutdown(socket);
        await pumping;
        socket.Dispose();
        _connections.TryRemove(socket, out _);
    }

    /// <summary>Runs the script; true when the connection can take another request.</summary>
    private async Task<bool> AnswerAsync(UpstreamRequest request, UpstreamConnection connection)
    {
        var script = IsProbe(request) ? ProbeScript! : Script;
        await using var watching = connection.Gone.Register(() => MarkLeftUnlessEnded(request, connection));
        try
        {
            await script(request, connection, connection.Gone);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            MarkLeftUnlessEnded(request, connection);
            return false;
        }
        catch (Exception exception)
        {
            _scriptErrors.Enqueue(exception);
            await connection.ResetAsync();
            return false;
        }

        return connection.AnswerIsWhole;
    }

    private void MarkLeftUnlessEnded(UpstreamRequest request, UpstreamConnection connection)
    {
        if (!connection.Ended && !_dying)
        {
            request.MarkLeft();
        }
    }

    private static void Shutdown(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Reset by the script, or by the peer.
        }
    }

    private bool IsProbe(UpstreamRequest request) =>
        ProbeScript is not null && request.Method == "GET" && request.Path.EndsWith("/models", StringComparison.Ordinal);

    private UpstreamRequest Record(UpstreamReader.Message message, int connection)
    {
        lock (_lock)
        {
            var request = new UpstreamRequest
            {
                Method = message.Method,
                Target = message.Target,
                Headers = message.Headers,
                Body = message.Body,
                Order = _requests.Count + _probes.Count,
                Connection = connection,
                ArrivedAt = _time.GetTimestamp(),
            };
            if (Keeps && IsProbe(request))
            {
                _probes = _probes.Add(request);
            }
            else if (Keeps)
            {
                _requests = _requests.Add(request);
            }

            return request;
        }
    }
}
