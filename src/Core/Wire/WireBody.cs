using System.Runtime.CompilerServices;

namespace Roadbalancer.Wire;

/// <summary>The body of an answer, without its framing. Its end is the backend's word: one that breaks off ends in an error, as far as its framing can tell.</summary>
/// <param name="cancelled">What the request was sent with: once cancelled, reads end so.</param>
internal sealed class WireBody(WireConnection connection, WireHead head, CancellationToken cancelled) : ReadOnlyStream
{
    private readonly BodyFraming _framing = head.Framing;
    private long _left = head.Length ?? 0;
    private ChunkReader _chunks;
    private bool _isOver = head.Framing == BodyFraming.None;

    /// <summary>It has been read to its end, or has none.</summary>
    public bool IsOver => _isOver;

    /// <summary>Waits until there is something to read, or the end, without a buffer of the caller's.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync()
    {
        try
        {
            if (!_isOver && connection.Received.IsEmpty)
            {
                // The connection's end shows again when it is read for good.
                connection.Took(await connection.FillAsync());
            }
        }
        catch (Exception exception) when (WireConnection.IsBroken(exception))
        {
            throw Broken(exception);
        }
    }

    /// <param name="buffer">Where to.</param>
    /// <param name="cancellationToken">Not looked at: the request's own ends reads, and closes the connection.</param>
    /// <exception cref="IOException">The connection broke, or the body did not come as announced.</exception>
    /// <exception cref="OperationCanceledException">The request was cancelled.</exception>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_isOver || buffer.IsEmpty)
        {
            return new(0);
        }

        if (_framing == BodyFraming.Chunked)
        {
            return ReadChunksAsync(buffer);
        }

        if (_framing == BodyFraming.Length && buffer.Length > _left)
        {
            buffer = buffer[..(int)_left];
        }

        var count = Math.Min(connection.Received.Length, buffer.Length);
        if (count == 0)
        {
            return ReadOnAsync(buffer);
        }

        connection.Received[..count].CopyTo(buffer.Span);
        connection.Use(count);
        Note(count);
        return new(count);
    }

    /// <exception cref="NotSupportedException">Always: nothing here waits on a thread.</exception>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadOnAsync(Memory<byte> buffer)
    {
        try
        {
            var count = await connection.ReceiveAsync(buffer);
            if (count == 0 && (_framing == BodyFraming.Length || cancelled.IsCancellationRequested))
            {
                throw Ended();
            }

            Note(count);
            return count;
        }
        catch (Exception exception) when (WireConnection.IsBroken(exception))
        {
            throw Broken(exception);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadChunksAsync(Memory<byte> buffer)
    {
        try
        {
            while (true)
            {
                var (used, written) = _chunks.Read(connection.Received, buffer.Span);
                connection.Use(used);
                _isOver = _chunks.IsComplete;
                if (written > 0 || _isOver)
                {
                    return written;
                }

                // The buffer is empty now. A large chunk need not pass through it.
                if (_chunks.DataLeft >= buffer.Length)
                {
                    var count = await connection.ReceiveAsync(buffer);
                    _chunks.Skip(count);
                    return count > 0 ? count : throw Ended();
                }

                var filled = await connection.FillAsync();
                connection.Took(filled);
                if (filled == 0)
                {
                    throw Ended();
                }
            }
        }
        catch (Exception exception) when (WireConnection.IsBroken(exception))
        {
            throw Broken(exception);
        }
    }

    private void Note(int count)
    {
        _left -= count;
        _isOver = _framing == BodyFraming.Length ? _left == 0 : count == 0;
    }

    /// <summary>Also of a body that tells its end by the connection's: a cancellation closes it, too.</summary>
    private Exception Ended() => cancelled.IsCancellationRequested
        ? new OperationCanceledException(cancelled)
        : new HttpIOException(HttpRequestError.ResponseEnded, "The backend's answer broke off.");

    private Exception Broken(Exception exception) => cancelled.IsCancellationRequested
        ? new OperationCanceledException(cancelled)
        : new IOException("The connection to the backend broke.", exception);
}
