using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Bench;

/// <summary>Holds streams open at a proxy and times their chunks by the stamps that the backend put into them.</summary>
internal sealed class StreamLoad : IDisposable
{
    private const int Stamp = 18;

    private readonly List<Socket> _sockets = [];
    private readonly ConcurrentQueue<double> _delaysUs = new();
    private long _chunks;
    private int _begun;
    private volatile bool _times;
    private volatile bool _ending;

    /// <summary>Chunks that have come.</summary>
    public long Chunks => Interlocked.Read(ref _chunks);

    /// <summary>Streams whose first chunk has come.</summary>
    public int Begun => Volatile.Read(ref _begun);

    /// <summary>Streams that ended while they should not have.</summary>
    public int Lost { get; private set; }

    /// <summary>From now on every chunk's delay is kept.</summary>
    public void Time() => _times = true;

    /// <summary>From sending to receiving, in microseconds; sorted.</summary>
    public double[] DelaysUs() => [.. _delaysUs.Order()];

    /// <summary>Opens streams, a few at a time, and returns when all have begun.</summary>
    /// <param name="every">Only each so manieth gap has a chunk.</param>
    public async Task OpenAsync(int port, int count, int every)
    {
        for (var opened = 0; opened < count; opened++)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            _sockets.Add(socket);
            await socket.ConnectAsync(IPAddress.Loopback, port);
            await socket.SendAsync(Request(1_000_000, every));
            _ = ReceiveAsync(socket);
            if (opened % 20 == 19)
            {
                await Pause.ForAsync(TimeSpan.FromMilliseconds(10));
            }
        }

        for (var waited = 0; Begun < count && waited < 300; waited++)
        {
            await Pause.ForAsync(TimeSpan.FromMilliseconds(50));
        }

        if (Begun < count)
        {
            throw new InvalidOperationException($"Only {Begun} of {count} streams have begun.");
        }
    }

    /// <summary>From sending a request to its first chunk, in microseconds: the median over streams that follow each other.</summary>
    public static async Task<double> FirstChunkAsync(int port, int streams)
    {
        var times = new List<double>();
        var buffer = new byte[16 * 1024];
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        for (var stream = 0; stream < streams; stream++)
        {
            var text = "";
            double? first = null;
            var sentAt = TimeProvider.System.GetTimestamp();
            await socket.SendAsync(Request(1, 1));
            while (!text.EndsWith("0\r\n\r\n", StringComparison.Ordinal))
            {
                var read = await socket.ReceiveAsync(buffer);
                text += read > 0 ? Encoding.ASCII.GetString(buffer, 0, read) : throw new InvalidOperationException($"The stream ended early: {text}");
                first ??= text.Contains("\"t", StringComparison.Ordinal) ? TimeProvider.System.GetElapsedTime(sentAt).TotalMicroseconds : null;
            }

            times.Add(first!.Value);
        }

        return Spread.Of(times).Median;
    }

    public void Dispose()
    {
        _ending = true;
        _sockets.ForEach(socket => socket.Dispose());
    }

    private static byte[] Request(int chunks, int every)
    {
        var body = string.Create(CultureInfo.InvariantCulture, $"{{\"model\":\"m\",\"stream\":true,\"max_tokens\":{chunks},\"seed\":{every},\"messages\":[{{\"role\":\"user\",\"content\":\"Say hello to the world.\"}}]}}");
        return Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAuthorization: Bearer {Subjects.ClientKey}\r\nContent-Length: {body.Length}\r\n\r\n{body}");
    }

    private async Task ReceiveAsync(Socket socket)
    {
        var buffer = new byte[8 * 1024];
        var kept = 0;
        var hasBegun = false;
        try
        {
            while (await socket.ReceiveAsync(buffer.AsMemory(kept)) is var read and > 0)
            {
                var now = TimeProvider.System.GetTimestamp();
                kept = Read(buffer.AsSpan(0, kept + read), now, out var chunks);
                if (!hasBegun && chunks > 0)
                {
                    hasBegun = true;
                    Interlocked.Increment(ref _begun);
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Ended on either side.
        }

        Lost += _ending ? 0 : 1;
    }

    /// <summary>Takes what chunks there are; moves the rest to the start and returns its length.</summary>
    private int Read(Span<byte> bytes, long now, out int chunks)
    {
        chunks = 0;
        var rest = bytes;
        while (rest.IndexOf("\"t"u8) is >= 0 and var at && rest.Length >= at + 2 + Stamp)
        {
            if (rest[at + 2] is >= (byte)'0' and <= (byte)'9' && long.TryParse(rest.Slice(at + 2, Stamp), CultureInfo.InvariantCulture, out var sent))
            {
                chunks++;
                if (_times)
                {
                    _delaysUs.Enqueue(TimeProvider.System.GetElapsedTime(sent, now).TotalMicroseconds);
                }
            }

            rest = rest[(at + 2)..];
        }

        Interlocked.Add(ref _chunks, chunks);
        var keep = Math.Min(rest.Length, Stamp + 1);
        var tail = rest[^keep..];
        keep = tail.LastIndexOf("\"t"u8) is >= 0 and var begun ? keep - begun : tail.EndsWith("\""u8) ? 1 : 0;
        rest[^keep..].CopyTo(bytes);
        return keep;
    }
}
