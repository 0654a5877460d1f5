using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Wire;

/// <summary>A server of bytes: what each connection gets and is asked is the test's, over TLS where it has a certificate.</summary>
internal sealed class BareServer : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly Func<Stream, Socket, Task> _serve;
    private readonly SslStreamCertificateContext? _certificate;
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly ConcurrentBag<Task> _serving = [];
    private readonly Task _accepting;
    private int _accepted;

    private BareServer(Func<Stream, Socket, Task> serve, SslStreamCertificateContext? certificate, IPAddress address)
    {
        _serve = serve;
        _certificate = certificate;
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(address, 0));
        _listener.Listen(512);
        var port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        var host = certificate is not null ? "localhost" : address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        Url = new Uri($"{(certificate is null ? "http" : "https")}://{host}:{port.ToString(CultureInfo.InvariantCulture)}/v1");
        _accepting = AcceptAsync();
    }

    public Uri Url { get; }

    /// <summary>Connections accepted so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>TLS handshakes that the client did not finish.</summary>
    public ConcurrentBag<Exception> RefusedHandshakes { get; } = [];

    /// <param name="serve">Runs for each connection, which ends with it.</param>
    /// <param name="certificate">For TLS; <see cref="Url"/> then says <c>localhost</c>.</param>
    /// <param name="address">Default 127.0.0.1.</param>
    public static BareServer Start(Func<Stream, Socket, Task> serve, X509Certificate2? certificate = null, IPAddress? address = null) =>
        new(serve, certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true), address ?? IPAddress.Loopback);

    /// <summary>Answers every request of a connection with these bytes.</summary>
    public static Func<Stream, Socket, Task> Always(string answer) => async (stream, _) =>
    {
        while (await ReadRequestAsync(stream) is not null)
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(answer));
        }
    };

    /// <summary>A request's head, its body read and dropped; null when the connection ended instead.</summary>
    public static async Task<string?> ReadRequestAsync(Stream stream)
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
        await stream.ReadExactlyAsync(new byte[length]);
        return head.ToString();
    }

    /// <summary>Reads until the client's end; a reset is one, too.</summary>
    public static async Task ReadToEndAsync(Stream stream)
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

    /// <summary>Ends the sending side and waits until the client's system knows: the state of the connection is then FIN_WAIT2 (RFC 9293 §3.3.2).</summary>
    public static async Task EndAsync(Socket socket)
    {
        socket.Shutdown(SocketShutdown.Send);
        await Await.Until(() => StateOf(socket) == 5, "the client has the connection's end");
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }

        await Task.WhenAll(_serving);
    }

    private static byte StateOf(Socket socket)
    {
        // struct tcp_info of tcp(7) begins with the state.
        Span<byte> info = stackalloc byte[8];
        socket.GetRawSocketOption(optionLevel: 6, optionName: 11, info);
        return info[0];
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptAsync(CancellationToken.None);
                Interlocked.Increment(ref _accepted);
                socket.NoDelay = true;
                _sockets.Add(socket);
                _serving.Add(ServeAsync(socket));
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            await using Stream plain = new NetworkStream(socket, ownsSocket: true);
            await using var tls = _certificate is null ? null : new SslStream(plain);
            if (tls is not null && !await IsAcceptedAsync(tls))
            {
                return;
            }

            await _serve(tls ?? plain, socket);
        }
        catch (Exception exception) when (exception is IOException or SocketException or ObjectDisposedException)
        {
            // The client went, or the test is over.
        }
    }

    private async Task<bool> IsAcceptedAsync(SslStream tls)
    {
        try
        {
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = _certificate });
            return true;
        }
        catch (Exception exception) when (exception is System.Security.Authentication.AuthenticationException or IOException)
        {
            RefusedHandshakes.Add(exception);
            return false;
        }
    }
}
