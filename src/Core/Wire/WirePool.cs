using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Roadbalancer.Wire;

/// <summary>
/// Speaks HTTP/1.1 with backends over connections that are kept: the one used last serves next, and one that has been idle or open for too
/// long is closed. docs/adr/0014-own-http-client.md tells why this is not HttpClient.
/// </summary>
internal sealed class WirePool : IDisposable
{
    /// <summary>Longest time that a connection is kept without use.</summary>
    private static readonly TimeSpan LongestIdle = TimeSpan.FromSeconds(90);

    /// <summary>Names are looked up again now and then, so that a backend that moved is found.</summary>
    private static readonly TimeSpan LongestLife = TimeSpan.FromMinutes(5);

    /// <summary>A backend counts from its own last byte, and its closing takes its time to get here.</summary>
    private static readonly TimeSpan IdleMargin = TimeSpan.FromSeconds(1);

    /// <summary>Idle connections that one sweep asks the system about; requests wait for the pool meanwhile.</summary>
    private const int MostLookedAt = 64;

    private static readonly TimeSpan SweepPeriod = TimeSpan.FromSeconds(15);

    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<WireOrigin, Stack<WireConnection>> _idle = new();
    private readonly ITimer _sweep;
    private volatile bool _isDisposed;

    public WirePool(TimeProvider time)
    {
        _time = time;
        _sweep = time.CreateTimer(_ => Sweep(), null, SweepPeriod, SweepPeriod);
    }

    /// <summary>Sends <paramref name="request"/>, which is disposed when this returns, and reads the head of its answer.</summary>
    /// <param name="connectTimeout">Limit for opening a connection, TLS included.</param>
    /// <param name="cancellationToken">Holds until the answer is disposed.</param>
    /// <exception cref="HttpRequestException">There is no connection, or no answer; <see cref="HttpRequestException.HttpRequestError"/> tells which.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> was cancelled.</exception>
    public ValueTask<WireResponse> SendAsync(WireRequest request, WireOrigin origin, TimeSpan connectTimeout, CancellationToken cancellationToken) =>
        Take(origin) is { } connection ? connection.AskAsync(request, this, cancellationToken) : SendFirstAsync(request, origin, connectTimeout, cancellationToken);

    /// <summary>Takes back a connection that can serve again.</summary>
    public void Return(WireConnection connection)
    {
        connection.IdleSince = _time.GetTimestamp();
        if (!_isDisposed && _time.GetElapsedTime(connection.OpenedAt, connection.IdleSince) < LongestLife)
        {
            var idle = _idle.GetOrAdd(connection.Origin, static _ => new());
            lock (idle)
            {
                idle.Push(connection);
            }

            if (!_isDisposed)
            {
                return;
            }
        }

        connection.Dispose();
    }

    public void Dispose()
    {
        _isDisposed = true;
        _sweep.Dispose();
        foreach (var idle in _idle.Values)
        {
            lock (idle)
            {
                while (idle.TryPop(out var connection))
                {
                    connection.Dispose();
                }
            }
        }
    }

    private WireConnection? Take(WireOrigin origin)
    {
        if (!_idle.TryGetValue(origin, out var idle))
        {
            return null;
        }

        while (true)
        {
            WireConnection? connection;
            lock (idle)
            {
                if (!idle.TryPop(out connection))
                {
                    return null;
                }
            }

            if (!IsPastItsWord(connection) && connection.BeginReading())
            {
                return connection;
            }

            connection.Dispose();
        }
    }

    private async ValueTask<WireResponse> SendFirstAsync(WireRequest request, WireOrigin origin, TimeSpan connectTimeout, CancellationToken cancellationToken)
    {
        WireConnection connection;
        try
        {
            connection = await ConnectAsync(origin, connectTimeout, cancellationToken);
        }
        catch
        {
            request.Dispose();
            throw;
        }

        return await connection.AskAsync(request, this, cancellationToken);
    }

    private async Task<WireConnection> ConnectAsync(WireOrigin origin, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(timeout, _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        Socket? socket = null;
        SslStream? tls = null;
        try
        {
            socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new DnsEndPoint(origin.Host, origin.Port), limit.Token);
            if (origin.IsSecure)
            {
                tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
                await tls.AuthenticateAsClientAsync(TlsFor(origin), limit.Token);
            }

            return new WireConnection(socket, tls, origin, _time.GetTimestamp());
        }
        catch (Exception exception)
        {
            socket?.Dispose();
            if (tls is not null)
            {
                await tls.DisposeAsync();
            }

            throw cancellationToken.IsCancellationRequested ? new OperationCanceledException(cancellationToken) : Explain(exception);
        }
    }

    /// <summary>
    /// A certificate that the backend should have sent is not fetched from where it says: that request would be the backend's choice, and would be
    /// waited for on a thread that serves others (docs/adr/0007-fast-path.md).
    /// </summary>
    private static SslClientAuthenticationOptions TlsFor(WireOrigin origin) => new()
    {
        TargetHost = origin.Host,
        ApplicationProtocols = [SslApplicationProtocol.Http11],
        CertificateChainPolicy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
    };

    private static HttpRequestException Explain(Exception exception) => exception switch
    {
        OperationCanceledException => new HttpRequestException(HttpRequestError.ConnectionError, "No connection in time.", exception),
        SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData or SocketError.NoRecovery } =>
            new HttpRequestException(HttpRequestError.NameResolutionError, "The backend's name is unknown.", exception),
        AuthenticationException or IOException => new HttpRequestException(HttpRequestError.SecureConnectionError, "No TLS with the backend.", exception),

        // Nearly always a SocketException; too many open files is one, too.
        _ => new HttpRequestException(HttpRequestError.ConnectionError, "The backend cannot be reached.", exception),
    };

    /// <summary>Closes what has been idle too long, and what backends have closed.</summary>
    private void Sweep()
    {
        foreach (var idle in _idle.Values)
        {
            ILookup<bool, WireConnection> byStale;
            lock (idle)
            {
                var now = _time.GetTimestamp();
                var looks = MostLookedAt;

                // Those that have been idle longest first. Taking one finds out by itself whether it is closed.
                byStale = idle.Reverse().ToLookup(connection => IsOver(connection, now) || (looks-- > 0 && connection.LooksClosed()));
                idle.Clear();
                foreach (var kept in byStale[false])
                {
                    idle.Push(kept);
                }
            }

            foreach (var stale in byStale[true])
            {
                stale.Dispose();
            }
        }
    }

    /// <summary>The backend said how long it would keep it, and may be closing it at this moment.</summary>
    private bool IsPastItsWord(WireConnection connection) =>
        connection.IdleLimitSeconds is { } seconds && _time.GetElapsedTime(connection.IdleSince) >= TimeSpan.FromSeconds(seconds) - IdleMargin;

    private bool IsOver(WireConnection connection, long now) =>
        _time.GetElapsedTime(connection.IdleSince, now) > LongestIdle || _time.GetElapsedTime(connection.OpenedAt, now) > LongestLife || IsPastItsWord(connection);
}
