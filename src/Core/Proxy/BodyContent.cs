using System.Buffers;
using System.Net;

namespace Roadbalancer.Proxy;

/// <summary>A request body on its way out. Counts writes under way, because a buffer still being written must not go back to its pool.</summary>
internal sealed class BodyContent(Exchange exchange, ReadOnlySequence<byte> body) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        exchange.BeginBodyWrite();
        try
        {
            foreach (var piece in body)
            {
                await stream.WriteAsync(piece, cancellationToken);
            }
        }
        finally
        {
            exchange.EndBodyWrite();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = body.Length;
        return true;
    }
}
