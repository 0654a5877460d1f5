using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Roadbalancer.Tests.Wire;

/// <summary>A server of bytes: what each connection gets and is asked is the test's, over TLS where it has a certificate.</summary>
internal sealed class BareServer : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly Func<BarePeer, Task> _serve;
    private readonly SslStreamCertificateContext? _certificate;
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly ConcurrentBag<Task> _serving = [];
    private readonly Task _accepting;
    private int _accepted;

    private BareServer(Func<BarePeer, Task> serve, SslStreamCertificateContext? certificate, IPAddress address)
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
    /// <param name="chain">Sent with the certificate.</param>
    /// <param name="address">Default 127.0.0.1.</param>
    public static BareServer Start(
        Func<BarePeer, Task> serve, X509Certificate2? certificate = null, X509Certificate2Collection? chain = null, IPAddress? address = null) =>
        new(serve, certificate is null ? null : SslStreamCertificateContext.Create(certificate, chain, offline: true), address ?? IPAddress.Loopback);

    /// <summary>Answers every request of a connection with these bytes.</summary>
    public static Func<BarePeer, Task> Always(string answer) => async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            await peer.WriteAsync(answer);
        }
    };

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

            await _serve(new BarePeer(tls ?? plain, socket));
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
