using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Tests.Support;

/// <summary>A client that writes what no HTTP library would.</summary>
internal static class RawHttp
{
    /// <summary>Sends <paramref name="request"/> and reads until the server closes; a reset after the answer is no matter.</summary>
    /// <returns>All that came, as Latin-1.</returns>
    public static async Task<string> AskAsync(Uri url, string request)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, url.Port, TestContext.Current.CancellationToken);
        var answer = new StringBuilder();
        var buffer = new byte[16 * 1024];
        try
        {
            await using var stream = new NetworkStream(socket);
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request), TestContext.Current.CancellationToken);
            int read;
            while ((read = await Await.For(stream.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask(), "the answer's end", TimeSpan.FromSeconds(30))) > 0)
            {
                answer.Append(Encoding.Latin1.GetString(buffer, 0, read));
            }
        }
        catch (IOException) when (answer.Length > 0)
        {
            // A server that refuses what it has not read resets the connection.
        }

        return answer.ToString();
    }
}
