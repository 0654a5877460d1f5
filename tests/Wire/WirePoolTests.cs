using System.Globalization;
using System.Net;
using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Which connection serves which request.</summary>
public sealed class WirePoolTests
{
    private static readonly UpstreamScript Echo = (request, connection, _) => connection.RespondAsync(200, request.Body, "text/plain");

    [Fact]
    public async Task SendAsync_OneAfterTheOther_OnOneConnection()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();

        for (var number = 0; number < 10; number++)
        {
            var text = number.ToString(CultureInfo.InvariantCulture);
            Assert.Equal((200, text), await client.AskAsync(upstream.BaseUrl, text));
        }

        Assert.Equal(1, upstream.Accepted);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n", true)]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)]
    [InlineData("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false)]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n", false)]
    public async Task SendAsync_Again_OnTheSameConnectionWhereItMay(string answer, bool isSame)
    {
        await using var server = BareServer.Start(BareServer.Always(answer));
        using var client = new WireClient();

        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));

        Assert.Equal(isSame ? 1 : 2, server.Accepted);
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n")]
    public async Task SendAsync_AnswerWithoutBody_NextOnTheSameConnection(string method, string answer)
    {
        await using var server = BareServer.Start(BareServer.Always(answer));
        using var client = new WireClient();

        Assert.Equal("", (await client.AskAsync(server.Url, method: method)).Text);
        Assert.Equal("", (await client.AskAsync(server.Url, method: method)).Text);

        Assert.Equal(1, server.Accepted);
    }

    [Fact]
    public async Task SendAsync_ConnectionClosedWhileIdle_NewOneWithoutAnError()
    {
        var closed = new SemaphoreSlim(0);
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            await peer.EndAsync();
            closed.Release();
        });
        using var client = new WireClient();

        for (var request = 1; request <= 5; request++)
        {
            Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
            Assert.Equal(request, server.Accepted);
            await Await.For(closed.WaitAsync(TestContext.Current.CancellationToken), "the server's closing");
        }
    }

    [Fact]
    public async Task SendAsync_ServerSpeaksWhileIdle_NeverTakenForAnAnswer()
    {
        var spoken = new SemaphoreSlim(0);
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            await peer.WriteAsync("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
            await peer.EndAsync();
            spoken.Release();
        });
        using var client = new WireClient();

        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
        await Await.For(spoken.WaitAsync(TestContext.Current.CancellationToken), "what the server says unasked");

        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
    }

    [Fact]
    public async Task SendAsync_ConnectionEndsWithTheRequestUnanswered_ErrorAndNotSentTwice()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Sequence(Echo, Scripts.CloseBeforeHeaders));
        using var client = new WireClient();
        await client.AskAsync(upstream.BaseUrl);

        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => client.AskAsync(upstream.BaseUrl));

        Assert.Equal((HttpRequestError.ResponseEnded, 2), (exception.HttpRequestError, upstream.Requests.Count));
    }

    [Fact]
    public async Task SendAsync_SeveralIdle_TheOneUsedLast()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();
        var first = await client.SendAsync(upstream.BaseUrl);
        var second = await client.SendAsync(upstream.BaseUrl);
        second.Dispose();
        first.Dispose();

        await client.AskAsync(upstream.BaseUrl);
        await client.AskAsync(upstream.BaseUrl);

        Assert.Equal([0, 1, 0, 0], upstream.Requests.Select(request => request.Connection));
    }

    [Fact]
    public async Task SendAsync_ManyAtOnceThenAgain_ConnectionsUsedAgain()
    {
        const int Many = 256;
        var gates = new[] { new TaskCompletionSource(), new TaskCompletionSource() };
        var turn = 0;
        await using var upstream = ScriptedUpstream.Start(async (request, connection, gone) =>
        {
            await gates[Interlocked.Increment(ref turn) <= Many ? 0 : 1].Task.WaitAsync(gone);
            await connection.RespondAsync(200, request.Body, "text/plain");
        });
        using var client = new WireClient();

        for (var wave = 0; wave < 2; wave++)
        {
            var asked = Enumerable.Range(0, Many).Select(number => client.AskAsync(upstream.BaseUrl, $"{wave}-{number}")).ToArray();
            await Await.Until(() => upstream.Requests.Count == Many * (wave + 1), "all have been asked");
            gates[wave].SetResult();
            Assert.Equal(Enumerable.Range(0, Many).Select(number => (200, $"{wave}-{number}")), await Task.WhenAll(asked));
            Assert.Equal(Many, upstream.Accepted);
        }
    }

    [Fact]
    public async Task SendAsync_OtherSpellingOfTheHost_TheSameConnection()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();

        await client.AskAsync(new Uri($"http://LOCALHOST:{upstream.Port}/a"));
        await client.AskAsync(new Uri($"http://localhost:{upstream.Port}/b?c=d"));
        await client.AskAsync(new Uri($"http://127.0.0.1:{upstream.Port}/"));

        Assert.Equal([0, 0, 1], upstream.Requests.Select(request => request.Connection));
    }

    [Fact]
    public async Task SendAsync_IPv6Literal_ReachesIt()
    {
        await using var server = BareServer.Start(BareServer.Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), address: IPAddress.IPv6Loopback);
        using var client = new WireClient();

        Assert.StartsWith("http://[::1]:", server.Url.AbsoluteUri, StringComparison.Ordinal);
        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
        Assert.Equal((200, "ok"), await client.AskAsync(server.Url));
        Assert.Equal(1, server.Accepted);
    }
}
