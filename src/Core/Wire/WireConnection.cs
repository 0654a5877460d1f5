using System.Buffers;
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

    /// <summary><see cref="WireHead.IdleLimit"/> of its last answer.</summary>
    public int? IdleLimit { get; set; }

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

    /// <summary>Sends a request and reads the head of its answer.</summary>
    /// <param name="first">The request's head, and as much of its body as fits behind it.</param>
    /// <param name="rest">The rest of its body.</param>
    /// <param name="isHead">The request's method is HEAD.</param>
    /// <exception cref="HttpRequestException">There was no answer, or none that can be read.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<WireHead> AskAsync(ReadOnlyMemory<byte> first, ReadOnlySequence<byte> rest, bool isHead)
    {
        var isSent = false;
        try
        {
            await SendAsync(first);
            foreach (var piece in rest)
            {
                await SendAsync(piece);
            }

            isSent = true;
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            // It may have answered before it had read everything, as with a body that is too large.
        }

        try
        {
            while (true)
            {
                if (_end > 0 && WireHead.TryRead(Received, isHead, out var used) is { } head)
                {
                    Use(used);
                    if (!head.IsInterim)
                    {
                        KeepsUp = isSent && head.KeepsConnection;
                        return head;
                    }
                }
                else if (await FillAsync() == 0)
                {
                    throw new HttpRequestException(HttpRequestError.ResponseEnded, "The backend closed the connection without an answer.");
                }
            }
        }
        catch (Exception exception) when (IsBroken(exception))
        {
            throw new HttpRequestException(HttpRequestError.Unknown, "The connection to the backend broke.", exception);
        }
    }

    /// <summary>As far as its last answer's head tells, it can serve again.</summary>
    public bool KeepsUp { get; private set; }

    /// <summary>Reads more behind <see cref="Received"/>; zero at the connection's end.</summary>
    public ValueTask<int> FillAsync()
    {
        if (_end == _buffer.Length)
        {
            MakeRoom();
        }

        return FillBufferAsync();
    }

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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> FillBufferAsync()
    {
        int read;
        if (_isReadingAhead)
        {
            _isReadingAhead = false;
            read = await _ahead;
        }
        else
        {
            read = await ReceiveAsync(_buffer.AsMemory(_end));
        }

        _end += read;
        return read;
    }

    private void MakeRoom()
    {
        var larger = _start > 0 ? _buffer : GC.AllocateUninitializedArray<byte>(2 * _buffer.Length);
        Received.CopyTo(larger);
        _end -= _start;
        _start = 0;
        _buffer = larger;
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
