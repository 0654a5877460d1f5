using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

/// <summary>What a request leaves behind for the collector, server and connection pool included.</summary>
[Collection(nameof(Alone))]
public sealed class AllocationTests : IDisposable
{
    private const int Requests = 2000;

    /// <summary>In bytes. What is built for debugging has an object where the other has a structure.</summary>
#if DEBUG
    private const long Most = 12 * 1024;
#else
    private const long Most = 6 * 1024;
#endif

    private readonly Socket _backend = new(SocketType.Stream, ProtocolType.Tcp);

    public AllocationTests()
    {
        _backend.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _backend.Listen();
        new Thread(Serve) { IsBackground = true }.Start();
    }

    [Fact]
    public async Task ChatRequest_InSteadyState_AllocatesAtMostSixKilobytesWhateverItsSize()
    {
        var small = await PerRequestAsync(Text(1_000));
        var large = await PerRequestAsync(Text(200_000));
        TestContext.Current.TestOutputHelper?.WriteLine($"{small} bytes for a request of 1 KB, {large} for one of 200 KB");
        Assert.InRange(small, 1, Most);
        Assert.InRange(large, 1, Most);
    }

    public void Dispose() => _backend.Dispose();

    /// <summary>A request whose model is renamed on its way.</summary>
    private static byte[] Text(int length)
    {
        var body = $$"""{"model":"m","messages":[{"role":"user","content":"{{new string('x', length)}}"}]}""";
        return System.Text.Encoding.ASCII.GetBytes(
            $"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nAuthorization: Bearer key\r\nContent-Length: {body.Length}\r\n\r\n{body}");
    }

    private async Task<long> PerRequestAsync(byte[] request)
    {
        var options = new BalancerOptions
        {
            Backends = [new Backend { Name = "a", BaseUrl = new Uri($"http://127.0.0.1:{((IPEndPoint)_backend.LocalEndPoint!).Port}/v1"), ModelName = "own" }],
            ClientKeys = [new("test", "key")],
            HealthCheckEnabled = false,
        };
        await using var host = await BalancerHost.StartAsync(options, services => services.Configure<LoggerFilterOptions>(logging => logging.MinLevel = LogLevel.Warning));
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, host.Url.Port, TestContext.Current.CancellationToken);
        var buffer = new byte[8 * 1024];
        await Task.Run(() => Ask(client, request, buffer, Requests));
        var before = GC.GetTotalAllocatedBytes(precise: true);
        await Task.Run(() => Ask(client, request, buffer, Requests));
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / Requests;
    }

    /// <summary>Without tasks, so that what is counted is the balancer's. It waits: never on a thread that watches sockets.</summary>
    private static void Ask(Socket client, byte[] request, byte[] buffer, int times)
    {
        for (var time = 0; time < times; time++)
        {
            client.Send(request);
            for (var length = 0; length == 0 || !buffer.AsSpan(0, length).EndsWith("]}"u8);)
            {
                var read = client.Receive(buffer.AsSpan(length));
                Assert.True(read > 0, "the balancer closed the connection");
                length += read;
            }
        }
    }

    private void Serve()
    {
        try
        {
            while (true)
            {
                using var connection = _backend.Accept();
                Answer(connection, new byte[64 * 1024]);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private static void Answer(Socket connection, byte[] buffer)
    {
        var answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 69\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"Hello.\"},\"finish_reason\":\"stop\"}]}"u8;
        while (connection.Receive(buffer) is var read and > 0)
        {
            if (buffer.AsSpan(0, read).EndsWith("]}"u8))
            {
                connection.Send(answer);
            }
        }
    }
}
