using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Tests.Support;

/// <summary>
/// What a script does to the connection that its request came on. Every helper puts exactly the bytes on the wire that its name says;
/// a script that ends without a whole answer closes the connection with a FIN.
/// </summary>
internal sealed class UpstreamConnection(Socket socket, CancellationToken gone)
{
    private bool _chunked;

    /// <summary>Cancelled when the peer closes the connection, or the upstream is killed or disposed.</summary>
    public CancellationToken Gone => gone;

    /// <summary>Whether the answer is whole, so that the connection can take another request.</summary>
    internal bool AnswerIsWhole { get; private set; }

    /// <summary>Whether the script has ended the answer, well or badly: a peer that goes from now on has not left early.</summary>
    internal bool Ended { get; private set; }

    /// <summary>A whole answer with a Content-Length.</summary>
    public Task RespondAsync(int status, string body, string contentType = "application/json", params (string Name, string Value)[] headers) =>
        RespondAsync(status, Encoding.UTF8.GetBytes(body), contentType, headers);

    /// <inheritdoc cref="RespondAsync(int, string, string, ValueTuple{string, string}[])"/>
    public async Task RespondAsync(int status, byte[] body, string contentType, params (string Name, string Value)[] headers)
    {
        var head = Head(status, [("Content-Type", contentType), ("Content-Length", Number(body.Length)), .. headers]);
        await FinishAsync((byte[])[.. head, .. body]);
    }

    /// <summary>The head of a 200 event stream in chunks. Every later event is one chunk and one send.</summary>
    public async Task BeginStreamAsync(params (string Name, string Value)[] headers)
    {
        await RawAsync(Head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"), .. headers]));
        _chunked = true;
    }

    /// <summary>One event, <c>data: …</c> and an empty line; <paramref name="data"/> may be anything, JSON or not.</summary>
    public Task EventAsync(string data) => ChunkAsync($"data: {data}\n\n");

    /// <summary>Text as one chunk of the stream, without anything added: halves of events, comments, foreign line ends.</summary>
    public async Task ChunkAsync(string text)
    {
        if (!_chunked)
        {
            throw new InvalidOperationException("BeginStreamAsync comes first.");
        }

        var bytes = Encoding.UTF8.GetBytes(text);
        await RawAsync((byte[])[.. Encoding.ASCII.GetBytes($"{bytes.Length:x}\r\n"), .. bytes, .. "\r\n"u8]);
    }

    /// <summary><c>data: [DONE]</c>; the stream still has to end.</summary>
    public Task DoneAsync() => EventAsync("[DONE]");

    /// <summary>The final chunk: the stream has ended cleanly as far as HTTP is concerned.</summary>
    public Task EndAsync() => FinishAsync("0\r\n\r\n"u8.ToArray());

    /// <summary>These bytes as they are, on the socket.</summary>
    public async Task RawAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, gone)..];
        }
    }

    /// <summary>An answer whose Content-Length is <paramref name="announced"/> but that ends, with a FIN, after <paramref name="sent"/>.</summary>
    public async Task ShortBodyAsync(int announced, string sent, string contentType = "application/json")
    {
        await RawAsync(Head(200, [("Content-Type", contentType), ("Content-Length", Number(announced))]));
        await RawAsync(Encoding.UTF8.GetBytes(sent));
        await CloseAsync();
    }

    /// <summary>A real RST; what was sent before still arrives.</summary>
    public Task ResetAsync()
    {
        Ended = true;
        Reset(socket);
        return Task.CompletedTask;
    }

    /// <summary>A FIN, whatever the answer's state: without the final chunk, a stream that was cut.</summary>
    public Task CloseAsync()
    {
        Ended = true;
        socket.Shutdown(SocketShutdown.Send);
        return Task.CompletedTask;
    }

    /// <summary>Silence until the peer closes, or the upstream is killed or disposed.</summary>
    public async Task HangAsync()
    {
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = gone.Register(over.SetResult);
        await over.Task;
    }

    internal static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // Already closed by the peer or by us: there is nothing left to reset.
        }

        socket.Close(0);
    }

    private async Task FinishAsync(byte[] last)
    {
        // Before sending: a peer may close as soon as it has the last byte.
        Ended = true;
        try
        {
            await RawAsync(last);
            AnswerIsWhole = true;
        }
        catch
        {
            Ended = false;
            throw;
        }
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static byte[] Head(int status, ReadOnlySpan<(string Name, string Value)> headers)
    {
        var head = new StringBuilder($"HTTP/1.1 {Number(status)} Scripted\r\n");
        foreach (var (name, value) in headers)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }

        return Encoding.Latin1.GetBytes(head.Append("\r\n").ToString());
    }
}
