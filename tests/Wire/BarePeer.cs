using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Wire;

/// <summary>The server's end of one connection to a <see cref="BareServer"/>: bytes in and out as a test says.</summary>
internal sealed class BarePeer(Stream stream, Socket socket)
{
    /// <summary>A request's head, its body read and dropped; null when the connection ended instead.</summary>
    public async Task<string?> ReadRequestAsync()
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one) == 0)
            {
                return null;
            }

            head.Append((char)one[0]);
        }

        var lines = head.ToString().Split("\r\n");
        var length = Array.Find(lines, line => line.StartsWith("Content-Length: ", StringComparison.Ordinal)) is { } line ? int.Parse(line.AsSpan(16), CultureInfo.InvariantCulture) : 0;
        await ReadAsync(length);
        return head.ToString();
    }

    /// <summary>Reads so many bytes and drops them.</summary>
    public async Task ReadAsync(int count) => await stream.ReadExactlyAsync(new byte[count]);

    /// <summary>Reads until the client's end; a reset is one, too.</summary>
    public async Task ReadToEndAsync()
    {
        try
        {
            await stream.CopyToAsync(Stream.Null);
        }
        catch (IOException)
        {
            // Reset.
        }
    }

    /// <summary>Characters for bytes.</summary>
    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes) => await stream.WriteAsync(bytes);

    /// <summary>Ends the sending side, of TLS first, and waits until the client's system knows: the connection is then in FIN_WAIT2 (RFC 9293 §3.3.2).</summary>
    public async Task EndAsync()
    {
        if (stream is SslStream tls)
        {
            await tls.ShutdownAsync();
        }

        socket.Shutdown(SocketShutdown.Send);
        await Await.Until(() => State() == 5, "the client has the connection's end");
    }

    private byte State()
    {
        // struct tcp_info of tcp(7) begins with the state.
        Span<byte> info = stackalloc byte[8];
        socket.GetRawSocketOption(optionLevel: 6, optionName: 11, info);
        return info[0];
    }
}
