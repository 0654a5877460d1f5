using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Answers as backends give them, whole and broken.</summary>
public sealed class WireAnswerTests
{
    private const string Chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    [Theory]
    [InlineData("length")]
    [InlineData("one chunk")]
    [InlineData("chunks")]
    [InlineData("close")]
    public async Task Body_LargeInAnyFraming_TheSameBytes(string framing)
    {
        var body = new byte[20_000_000];
        new Random(7).NextBytes(body);
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            switch (framing)
            {
                case "length":
                    await peer.WriteAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n");
                    await peer.WriteAsync(body);
                    break;
                case "close":
                    await peer.WriteAsync("HTTP/1.1 200 OK\r\n\r\n");
                    await peer.WriteAsync(body);
                    break;
                default:
                    await peer.WriteAsync(Chunks);
                    foreach (var chunk in body.Chunk(framing == "chunks" ? 70_001 : body.Length))
                    {
                        // The size in a packet of its own, so that the data is read past the buffer.
                        await peer.WriteAsync(chunk.Length.ToString("X", CultureInfo.InvariantCulture) + "\r\n");
                        await peer.WriteAsync(chunk);
                        await peer.WriteAsync("\r\n");
                    }

                    await peer.WriteAsync("0\r\n\r\n");
                    break;
            }
        });
        using var client = new WireClient();

        using var response = await client.SendAsync(server.Url);

        var received = await WireClient.ReadAsync(response);
        Assert.True(body.AsSpan().SequenceEqual(received), $"{received.Length} bytes came.");
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]
    [InlineData(Chunks + "9\r\nshort")]
    [InlineData(Chunks + "5\r\nshort")]
    [InlineData(Chunks + "5\r\nshort\r\n")]
    [InlineData(Chunks + "5\r\nshort\r\n0\r\n")]
    [InlineData(Chunks)]
    [InlineData(Chunks + "ffff\r\n")]
    public async Task Body_CutShort_IsAnErrorAndNotAnEnd(string answer)
    {
        await using var server = Once(answer);
        using var client = new WireClient();
        using var response = await client.SendAsync(server.Url);

        var exception = await Assert.ThrowsAsync<HttpIOException>(() => WireClient.ReadAsync(response, room: 64));

        Assert.Equal((HttpRequestError.ResponseEnded, false), (exception.HttpRequestError, response.Body.IsOver));
    }

    [Fact]
    public async Task Body_NoChunks_IsAnError()
    {
        await using var server = Once(Chunks + "2\r\nokgarbage\r\n0\r\n\r\n");
        using var client = new WireClient();
        using var response = await client.SendAsync(server.Url);

        var exception = await Assert.ThrowsAsync<HttpIOException>(() => WireClient.ReadAsync(response));

        Assert.Equal(HttpRequestError.InvalidResponse, exception.HttpRequestError);
    }

    [Fact]
    public async Task Body_ResetMidway_IsAnErrorThoughOnlyTheConnectionTellsItsEnd()
    {
        var read = new TaskCompletionSource();
        await using var upstream = ScriptedUpstream.Start(async (_, connection, gone) =>
        {
            await connection.RawAsync("HTTP/1.1 200 OK\r\n\r\nhalf"u8.ToArray());
            await read.Task.WaitAsync(gone);
            await connection.ResetAsync();
        });
        using var client = new WireClient();
        using var response = await client.SendAsync(upstream.BaseUrl);
        Assert.Equal(4, await response.Body.ReadAsync(new byte[9], TestContext.Current.CancellationToken));

        read.SetResult();

        await Assert.ThrowsAsync<IOException>(() => WireClient.ReadAsync(response));
    }

    [Fact]
    public async Task Body_NotReadToItsEnd_ConnectionClosed()
    {
        await using var upstream = ScriptedUpstream.Start(async (_, connection, _) =>
        {
            await connection.RawAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"u8.ToArray());
            await connection.HangAsync();
        });
        using var client = new WireClient();
        using (var response = await client.SendAsync(upstream.BaseUrl))
        {
            Assert.Equal(2, await response.Body.ReadAsync(new byte[9], TestContext.Current.CancellationToken));
        }

        await Await.For(upstream.Requests[0].Left, "the connection's end");
    }

    [Fact]
    public async Task Body_Synchronously_IsRefusedBecauseNothingMayWait()
    {
        await using var server = Once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        using var client = new WireClient();
        using var response = await client.SendAsync(server.Url);

        Assert.Throws<NotSupportedException>(() => response.Body.Read(new byte[1], 0, 1));
        Assert.Equal("ok", Encoding.Latin1.GetString(await WireClient.ReadAsync(response, room: 1)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n")]
    public async Task Head_ConnectionEndsBefore_NoAnswer(string answer)
    {
        await using var server = Once(answer);
        using var client = new WireClient();

        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(server.Url));

        Assert.Equal(HttpRequestError.ResponseEnded, exception.HttpRequestError);
    }

    [Theory]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    public async Task Head_OfSomethingElse_InvalidAnswerAndConnectionClosed(string answer)
    {
        await using var server = BareServer.Start(BareServer.Always(answer));
        using var client = new WireClient();

        for (var request = 1; request <= 2; request++)
        {
            var exception = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(server.Url));
            Assert.Equal((HttpRequestError.InvalidResponse, request), (exception.HttpRequestError, server.Accepted));
        }
    }

    [Theory]
    [InlineData("X: ")]
    [InlineData("X: y\r\n")]
    [InlineData("A: b\r\n c\r\n")]
    public async Task Head_Endless_GivenUp(string piece)
    {
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync("HTTP/1.1 200 OK\r\n");
            var more = Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(piece, 100)));
            while (true)
            {
                await peer.WriteAsync(more);
            }
        });
        using var client = new WireClient();

        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => client.SendAsync(server.Url));

        Assert.Equal(HttpRequestError.InvalidResponse, exception.HttpRequestError);
    }

    /// <summary>The backend refuses a body that it has not read, and closes: its system resets the connection.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Head_BeforeTheBodyIsSent_IsTheAnswer(bool isWhole)
    {
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadAsync(100);
            await peer.WriteAsync("HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
            if (isWhole)
            {
                await peer.EndAsync();
                await peer.ReadToEndAsync();
            }
        });
        using var client = new WireClient();

        using (var response = await client.SendAsync(server.Url, new byte[10_000_000]))
        {
            Assert.Equal((413, "too large"), (response.Head.Status, Encoding.Latin1.GetString(await WireClient.ReadAsync(response))));
        }

        using var next = await client.SendAsync(server.Url, new byte[10_000_000]);
        Assert.Equal((413, 2), (next.Head.Status, server.Accepted));
    }

    [Fact]
    public async Task Client_BodyRefusedBeforeItIsSent_SeesWhy()
    {
        const string Refusal = """{"error":{"message":"too large","type":"invalid_request_error","param":null,"code":null}}""";
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadAsync(100);
            await peer.WriteAsync($"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: {Refusal.Length}\r\n\r\n{Refusal}");
        });
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("unused"));
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with { BaseUrl = server.Url });
        var body = $$"""{"model":"m","messages":[{"role":"user","content":"{{new string('x', 10_000_000)}}"}]}""";

        using var answer = await host.PostAsync("/v1/chat/completions", body);

        Assert.Equal(StatusCodes.Status413PayloadTooLarge, (int)answer.StatusCode);
        Assert.Contains("too large", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <summary>A server that gives this answer to one request and closes.</summary>
    private static BareServer Once(string answer) => BareServer.Start(async peer =>
    {
        await peer.ReadRequestAsync();
        await peer.WriteAsync(answer);
    });
}
