using System.Net;
using System.Net.Sockets;

namespace Roadbalancer.Tests.Faults;

/// <summary>A port that speaks no TLS: to whatever comes it answers as a plain HTTP server does to a handshake, and closes. One for the whole run.</summary>
internal static class PlainPort
{
    private static readonly TcpListener _listener = Start();

    public static Uri HttpsUrl => new($"https://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/v1");

    private static TcpListener Start()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        _ = ServeAsync(listener);
        return listener;
    }

    private static async Task ServeAsync(TcpListener listener)
    {
        while (true)
        {
            using var socket = await listener.AcceptSocketAsync();
            try
            {
                await socket.ReceiveAsync(new byte[16 * 1024]);
                await socket.SendAsync("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"u8.ToArray());
                socket.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // The peer gave up first.
            }
        }
    }
}
