using System.IO.Pipelines;
using System.Net.Sockets;

namespace Roadbalancer.Tests.Support;

/// <summary>Keeps reading from a connection while its script runs, because only a reader learns that the peer has gone.</summary>
internal static class UpstreamPump
{
    /// <summary>Copies to <paramref name="writer"/> until the connection ends in whatever way, and then cancels <paramref name="gone"/>.</summary>
    public static async Task RunAsync(Socket socket, PipeWriter writer, CancellationTokenSource gone)
    {
        try
        {
            while (await socket.ReceiveAsync(writer.GetMemory(16_384)) is > 0 and var count)
            {
                writer.Advance(count);
                await writer.FlushAsync();
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // A reset, by either side.
        }

        await writer.CompleteAsync();
        await gone.CancelAsync();
    }
}
