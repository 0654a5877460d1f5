using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Wire;

/// <summary><see cref="Roadbalancer.Wire.WireBody.WaitAsync"/>: waiting without a buffer takes nothing from what comes.</summary>
public sealed class WireWaitTests
{
    public static TheoryData<string, string[]> Framings => new()
    {
        { "Content-Length: 10", ["hello", "world"] },
        { "Transfer-Encoding: chunked", ["5\r\nhel", "lo\r\n5\r\n", "world\r", "\n0\r\n\r\n"] },
        { "Cache-Control: no-cache", ["hello", "world"] },
    };

    [Theory]
    [MemberData(nameof(Framings))]
    public async Task WaitAsync_BeforeEachRead_BodyIsWhole(string framing, string[] pieces)
    {
        var isWaited = new SemaphoreSlim(0);
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync($"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            foreach (var piece in pieces)
            {
                await isWaited.WaitAsync();
                await peer.WriteAsync(piece);
            }
        });
        using var client = new WireClient();
        using var response = await client.SendAsync(server.Url);
        var text = new StringBuilder();
        var buffer = new byte[64];
        int read;
        do
        {
            var waiting = response.Body.WaitAsync().AsTask();
            isWaited.Release();
            await Await.For(waiting, "something to read");
            read = await Await.For(ReadAsync(), "what there is");
            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        while (read > 0);

        Assert.Equal(("helloworld", true), (text.ToString(), response.Body.IsOver));
        await response.Body.WaitAsync();

        // A read may need more than the piece that was waited for: a chunk's end without the next one's begin.
        async Task<int> ReadAsync()
        {
            var reading = response.Body.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask();
            await Await.Until(
                () =>
                {
                    isWaited.Release();
                    return reading.IsCompleted;
                },
                "enough has come");

            return await reading;
        }
    }

    [Theory]
    [InlineData("Content-Length: 10")]
    [InlineData("Transfer-Encoding: chunked")]
    public async Task WaitAsync_BodyCutShort_NextReadTells(string framing)
    {
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync($"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        });
        using var client = new WireClient();
        using var response = await client.SendAsync(server.Url);

        await response.Body.WaitAsync();

        await Assert.ThrowsAsync<HttpIOException>(() => WireClient.ReadAsync(response));
    }

    [Theory]
    [InlineData("Content-Length: 10")]
    [InlineData("Transfer-Encoding: chunked")]
    [InlineData("Cache-Control: no-cache")]
    public async Task WaitAsync_Cancelled_EndsSo(string framing)
    {
        await using var upstream = ScriptedUpstream.Start(async (_, connection, _) =>
        {
            await connection.RawAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
            await connection.HangAsync();
        });
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        using var response = await client.SendAsync(upstream.BaseUrl, cancellation: cancellation);
        var waiting = response.Body.WaitAsync().AsTask();
        Assert.False(waiting.IsCompleted);

        await cancellation.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => Await.For(waiting, "the cancelled wait's end"));
        await Assert.ThrowsAsync<OperationCanceledException>(() => WireClient.ReadAsync(response));
    }
}
