using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Roadbalancer.Wire;

/// <summary>One connection to a backend: what was received of it and not read yet, and one request at a time.</summary>
internal sealed class WireConnection(Socket socket, SslStream? tls, WireOrigin origin, long openedAt) : IDisposable
{
    private const int BufferSize = 4096;

    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
    private int _start;
    private int _end;
    private ValueTask<int> _ahead;
    private bool _isReadingAhead;
    private int _isClosed;

    public WireOrigin Origin { get; } = origin;

    /// <summary>When it was opened, on the pool's <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long OpenedAt { get; } = openedAt;

    /// <summary>When it was last given back, on the same clock.</summary>
    public long IdleSince { get; set; }

    /// <summary><see cref="WireHead.IdleLimitSeconds"/> of its last answer.</summary>
    public int? IdleLimitSeconds { get; set; }

    /// <summary>What was received and not used yet.</summary>
    public ReadOnlySpan<byte> Received => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Forgets the first <paramref name="count"/> bytes of <see cref="Received"/>.</summary>
    public void Use(int count)
    {
        _start += count;
        if (_start == _end)
        {
            _start = _end = 0;
        }
    }

    /// <summary>
    /// Begins to read the next answer before it is asked for: a connection that the backend has closed tells so at once. What is read lands in the
    /// answer that <see cref="AskAsync"/> waits for.
    /// </summary>
    /// <returns>False: it is closed, or something came that nobody asked for. It cannot be used.</returns>
    public bool BeginReading()
    {
        if (_end > 0)
        {
            return false;
        }

        try
        {
#pragma warning disable CA2012 // Awaited once, by the fill that comes next.
            _ahead = ReceiveAsync(_buffer);
#pragma warning restore CA2012
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            return false;
        }

        _isReadingAhead = !_ahead.IsCompleted;
        return _isReadingAhead;
    }

    /// <summary>Whether an idle connection has been closed by the backend. Waits for nothing.</summary>
    public bool LooksClosed()
    {
        try
        {
            return socket.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            return true;
        }
    }

    /// <summary>Sends <paramref name="request"/>, which it disposes, and reads the head of its answer. Where there is none, the connection is closed.</summary>
    /// <param name="request">The request.</param>
    /// <param name="home">Where the connection goes when the answer has been read.</param>
    /// <param name="cancellationToken">Holds until the answer is disposed.</param>
    /// <exception cref="HttpRequestException">There was no answer, or none that can be read.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<WireResponse> AskAsync(WireRequest request, WirePool home, CancellationToken cancellationToken)
    {
        var cancellation = cancellationToken.UnsafeRegister(static connection => ((WireConnection)connection!).Abort(), this);
        WireHead? head = null;
        try
        {
            var isSent = await TrySendAsync(request);
            while ((head = TakeHead(request.IsHead)) is null)
            {
                var filled = await FillAsync();
                Took(filled);
                if (filled == 0)
                {
                    throw new HttpRequestException(HttpRequestError.ResponseEnded, "The backend closed the connection without an answer.");
                }
            }

            KeepsUp = isSent && head.KeepsConnection;
            return new WireResponse(home, this, head, cancellation, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException || IsBroken(exception))
        {
            throw cancellationToken.IsCancellationRequested ? new OperationCanceledException(cancellationToken)
                : exception as HttpRequestException ?? new HttpRequestException(HttpRequestError.Unknown, "The connection to the backend broke.", exception);
        }
        finally
        {
            request.Dispose();
            if (head is null)
            {
                cancellation.Unregister();
                Dispose();
            }
        }
    }

    /// <summary>As far as its last answer's head tells, it can serve again.</summary>
    public bool KeepsUp { get; private set; }

    /// <summary>Reads more behind <see cref="Received"/>; zero at the connection's end. <see cref="Took"/> has to be told how much it was.</summary>
    public ValueTask<int> FillAsync()
    {
        if (_isReadingAhead)
        {
            _isReadingAhead = false;
            return _ahead;
        }

        if (_end == _buffer.Length)
        {
            MakeRoom();
        }

        return ReceiveAsync(_buffer.AsMemory(_end));
    }

    /// <summary>What <see cref="FillAsync"/> gave belongs to <see cref="Received"/> now: one step less in the way of each chunk than if it noted that itself.</summary>
    public void Took(int count) => _end += count;

    /// <summary>Reads past the buffer, which must be empty; zero at the connection's end.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> into) => tls is null ? socket.ReceiveAsync(into, SocketFlags.None) : tls.ReadAsync(into);

    /// <summary>Ends whatever waits on it, with an error; from any thread.</summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
        {
            socket.Dispose();
        }
    }

    public void Dispose()
    {
        Abort();
        tls?.Dispose();
    }

    /// <summary>Whether this is how a broken connection shows, and not a bug.</summary>
    public static bool IsBroken(Exception exception) =>
        exception is SocketException or ObjectDisposedException or (IOException and not HttpIOException);

    /// <summary>The answer's head, when it has come; interim ones before it are passed over.</summary>
    private WireHead? TakeHead(bool answersHead)
    {
        while (_end > 0 && WireHead.TryRead(Received, answersHead, out var used) is { } head)
        {
            Use(used);
            if (!head.IsInterim)
            {
                return head;
            }
        }

        return null;
    }

    private void MakeRoom()
    {
        var larger = _start > 0 ? _buffer : GC.AllocateUninitializedArray<byte>(2 * _buffer.Length);
        Received.CopyTo(larger);
        _end -= _start;
        _start = 0;
        _buffer = larger;
    }

    /// <summary>False: the backend did not take it. It may have answered before it had read everything, as with a body that is too large.</summary>
    private async ValueTask<bool> TrySendAsync(WireRequest request)
    {
        try
        {
            await SendAsync(request.First);
            foreach (var piece in request.Rest)
            {
                await SendAsync(piece);
            }

            return true;
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            return false;
        }
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> bytes)
    {
        if (tls is not null)
        {
            await tls.WriteAsync(bytes);
            return;
        }

        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None)..];
        }
    }
}
