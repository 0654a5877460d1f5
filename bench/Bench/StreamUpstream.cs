using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Bench;

/// <summary>
/// A backend that streams as cheaply as it can: any request is answered by chunks of one event each, a gap apart, until it has sent as many as
/// the request's <c>max_tokens</c> says. Each event carries the time at which it was sent.
/// </summary>
/// <remarks>One loop writes to all streams, spread over the gap, without an await for each; a stream that does not take a chunk at once is dropped.</remarks>
internal static class StreamUpstream
{
    private const int Phases = 20;

    private static readonly byte[] Head = Encoding.ASCII.GetBytes(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n");

    private static readonly byte[] Last = Chunk(
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        + "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}\n\n"
        + "data: [DONE]\n\n").Concat("0\r\n\r\n"u8.ToArray()).ToArray();

    private static readonly Lock Gate = new();
    private static readonly List<Open>[] Streams = [.. Enumerable.Range(0, Phases).Select(_ => new List<Open>())];
    private static int _next;

    public static async Task RunAsync(int[] ports)
    {
        foreach (var port in ports)
        {
            var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen(4096);
            _ = AcceptAsync(listener);
        }

        using var timer = new PeriodicTimer(BenchPlan.ChunkGap / Phases);
        var since = TimeProvider.System.GetTimestamp();
        for (var tick = 0L; await timer.WaitForNextTickAsync();)
        {
            // A machine that is busy wakes us late: what is due is sent all the same.
            for (var due = (long)(TimeProvider.System.GetElapsedTime(since) / timer.Period); tick < due; tick++)
            {
                lock (Gate)
                {
                    Streams[tick % Phases].RemoveAll(static open => !open.Send());
                }
            }
        }
    }

    private static byte[] Chunk(string text) => Encoding.ASCII.GetBytes($"{text.Length:x}\r\n{text}\r\n");

    [SuppressMessage("Reliability", "CA2000:Dispose objects before losing scope", Justification = "The serving task disposes it.")]
    private static async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            var socket = await listener.AcceptAsync();
            socket.NoDelay = true;
            _ = ServeAsync(socket);
        }
    }

    private static async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        var buffer = new byte[16 * 1024];
        try
        {
            while (await ReadRequestAsync(socket, buffer) is { } request)
            {
                if (request.StartsWith("GET", StringComparison.Ordinal))
                {
                    await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"object\":\"list\",\"data\":[]}"u8.ToArray());
                    continue;
                }

                var open = new Open(socket, Number(request, "\"max_tokens\":"), Number(request, "\"seed\":"));
                await socket.SendAsync(Head);
                lock (Gate)
                {
                    if (open.Send())
                    {
                        Streams[_next++ % Phases].Add(open);
                    }
                }

                await open.Ended;
            }
        }
        catch (SocketException)
        {
            // The client has gone.
        }
    }

    private static int Number(string request, string name) =>
        request.IndexOf(name, StringComparison.Ordinal) is >= 0 and var at
            ? int.Parse(request.AsSpan(at + name.Length)[..request.AsSpan(at + name.Length).IndexOfAnyExceptInRange('0', '9')], provider: null)
            : 1;

    private static async Task<string?> ReadRequestAsync(Socket socket, byte[] buffer)
    {
        for (var length = 0; length < buffer.Length;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length));
            if (read == 0)
            {
                return null;
            }

            length += read;
            var text = Encoding.ASCII.GetString(buffer, 0, length);
            if (text.StartsWith("GET", StringComparison.Ordinal) ? text.EndsWith("\r\n\r\n", StringComparison.Ordinal) : text.EndsWith("]}", StringComparison.Ordinal) || text.EndsWith("}\r\n0\r\n\r\n", StringComparison.Ordinal))
            {
                return text;
            }
        }

        return null;
    }

    /// <param name="chunks">Chunks to send, in all.</param>
    /// <param name="every">Only each so manieth gap has a chunk.</param>
    private sealed class Open(Socket socket, int chunks, int every)
    {
        private static readonly byte[] Template = Chunk(
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t000000000000000000\"},\"finish_reason\":null}]}\n\n");

        private static readonly int StampAt = Template.AsSpan().IndexOf("t0000"u8) + 1;

        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _sent;
        private int _gaps;

        public Task Ended => _ended.Task;

        /// <summary>Sends the next chunk; false when the stream is over.</summary>
        public bool Send()
        {
            if (_sent > 0 && ++_gaps % every != 0 && _sent < chunks)
            {
                return true;
            }

            Span<byte> chunk = stackalloc byte[Template.Length];
            Template.CopyTo(chunk);
            Utf8Formatter.TryFormat(TimeProvider.System.GetTimestamp(), chunk.Slice(StampAt, 18), out _, new('D', 18));
            try
            {
                socket.Send(_sent < chunks ? chunk : Last);
            }
            catch (SocketException)
            {
                _ended.SetResult();
                return false;
            }

            if (_sent++ < chunks)
            {
                return true;
            }

            _ended.SetResult();
            return false;
        }
    }
}
