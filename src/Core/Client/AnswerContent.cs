using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using Roadbalancer.Wire;

namespace Roadbalancer.Client;

/// <summary>
/// An answer's body, read once, while it comes. Disposing it ends the exchange and frees its upstream at once; an answer that breaks off throws
/// <see cref="HttpIOException"/> at its end, after every byte that came.
/// </summary>
internal sealed class AnswerContent(InProcessCall call) : HttpContent
{
    private readonly AnswerStream _stream = new(call);

    /// <inheritdoc cref="InProcessCall.Settled"/>
    public Task Settled => call.Settled;

    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(_stream);

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => _stream;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => _stream.CopyToAsync(stream);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        _stream.CopyToAsync(stream, cancellationToken);

    protected override void SerializeToStream(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        using var leaving = cancellationToken.UnsafeRegister(static call => ((InProcessCall)call!).Leave(), call);
        _stream.CopyTo(stream);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _stream.Dispose();
        }

        base.Dispose(disposing);
    }

    private sealed class AnswerStream(InProcessCall call) : ReadOnlyStream
    {
        private int _busy;
        private volatile bool _isDisposed;

        public override bool CanRead => !_isDisposed;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Enter();
            try
            {
                while (!buffer.IsEmpty)
                {
                    if (Take(await call.Reader.ReadAsync(cancellationToken).ConfigureAwait(false), buffer.Span) is { } taken)
                    {
                        return taken;
                    }
                }

                return 0;
            }
            finally
            {
                Exit();
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            Enter();
            try
            {
                while (!buffer.IsEmpty)
                {
                    var result = call.Reader.TryRead(out var ready) ? ready : Blocking.Wait(() => call.Reader.ReadAsync().AsTask());
                    if (Take(result, buffer) is { } taken)
                    {
                        return taken;
                    }
                }

                return 0;
            }
            finally
            {
                Exit();
            }
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_isDisposed)
            {
                _isDisposed = true;
                call.Leave();

                // A read that is still waiting ends by itself when the exchange does, and completes the reader then.
                if (Interlocked.CompareExchange(ref _busy, 2, 0) == 0)
                {
                    call.Reader.Complete();
                }
            }

            base.Dispose(disposing);
        }

        private void Enter()
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (Interlocked.CompareExchange(ref _busy, 1, 0) != 0)
            {
                throw new InvalidOperationException("The answer is being read already.");
            }
        }

        private void Exit()
        {
            if (_isDisposed)
            {
                call.Reader.Complete();
                return;
            }

            Volatile.Write(ref _busy, 0);
            if (_isDisposed && Interlocked.CompareExchange(ref _busy, 2, 0) == 0)
            {
                call.Reader.Complete();
            }
        }

        /// <summary>What fits of what has come; 0 at the end of a whole answer; null when there is nothing yet.</summary>
        private int? Take(ReadResult result, Span<byte> to)
        {
            var from = result.Buffer;
            if (from.IsEmpty)
            {
                call.Reader.AdvanceTo(from.End);
                if (!result.IsCompleted)
                {
                    return null;
                }

                call.ThrowIfBroken();
                return 0;
            }

            var length = (int)Math.Min(from.Length, to.Length);
            var taken = from.Slice(0, length);
            taken.CopyTo(to);
            call.Reader.AdvanceTo(taken.End);
            return length;
        }
    }
}
