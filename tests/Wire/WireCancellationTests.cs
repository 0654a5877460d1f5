using System.Globalization;
using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>A cancelled request ends as cancelled wherever it is, takes its connection with it, and nobody else's.</summary>
public sealed class WireCancellationTests
{
    private static readonly UpstreamScript Echo = (request, connection, _) => connection.RespondAsync(200, request.Body, "text/plain");

    [Fact]
    public async Task SendAsync_CancelledBefore_NothingIsSent()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();
        await client.AskAsync(upstream.BaseUrl);
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => client.SendAsync(upstream.BaseUrl, cancellation: cancellation), cancellation);
        await EndsCancelledAsync(() => client.SendAsync(upstream.BaseUrl, cancellation: cancellation), cancellation);

        Assert.Equal((200, "next"), await client.AskAsync(upstream.BaseUrl, "next"));
        Assert.Equal(2, upstream.Requests.Count);
    }

    [Fact]
    public async Task SendAsync_CancelledWhileConnecting_Ends()
    {
        using var full = new FullListener();
        await full.FillAsync();
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(full.Url, cancellation: cancellation);
        Assert.False(asked.IsCompleted);

        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => asked, cancellation);
    }

    [Fact]
    public async Task SendAsync_CancelledInTheHandshake_Ends()
    {
        var left = new TaskCompletionSource();
        var greeted = new TaskCompletionSource();
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadAsync(100);
            greeted.SetResult();
            await peer.ReadToEndAsync();
            left.SetResult();
        });
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(new Uri($"https://127.0.0.1:{server.Url.Port}/"), cancellation: cancellation);
        await Await.For(greeted.Task, "the handshake's begin");

        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => asked, cancellation);
        await Await.For(left.Task, "the connection's end");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SendAsync_CancelledWhileSending_EndsAndConnectionCloses(bool isUsedBefore)
    {
        var isReading = new SemaphoreSlim(0);
        var goOn = new TaskCompletionSource();
        var left = new TaskCompletionSource();
        await using var server = BareServer.Start(async peer =>
        {
            if (isUsedBefore)
            {
                await peer.ReadRequestAsync();
                await peer.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }

            await peer.ReadAsync(100);
            isReading.Release();
            await goOn.Task;
            await peer.ReadToEndAsync();
            left.SetResult();
        });
        using var client = new WireClient();
        if (isUsedBefore)
        {
            await client.AskAsync(server.Url);
        }

        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(server.Url, new byte[50_000_000], cancellation: cancellation);
        await Await.For(isReading.WaitAsync(TestContext.Current.CancellationToken), "the begin of the body");
        Assert.False(asked.IsCompleted);

        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => asked, cancellation);
        goOn.SetResult();
        await Await.For(left.Task, "the connection's end");
        Assert.Equal(1, server.Accepted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SendAsync_CancelledWhileWaitingForTheHead_EndsAndConnectionCloses(bool isUsedBefore)
    {
        await using var upstream = ScriptedUpstream.Start(isUsedBefore ? Scripts.Sequence(Echo, Scripts.Hang, Echo) : Scripts.Sequence(Scripts.Hang, Echo));
        using var client = new WireClient();
        if (isUsedBefore)
        {
            await client.AskAsync(upstream.BaseUrl);
        }

        var before = upstream.Requests.Count;
        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(upstream.BaseUrl, cancellation: cancellation);
        await Await.Until(() => upstream.Requests.Count == before + 1, "the request is there");

        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => asked, cancellation);
        await Await.For(upstream.Requests[before].Left, "the connection's end");
        Assert.Equal((200, "next"), await client.AskAsync(upstream.BaseUrl, "next"));
        Assert.Equal(2, upstream.Accepted);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\n\r\nhalf")]
    public async Task Body_CancelledInTheMiddle_EndsSoAndNotAsIfItWereWhole(string answer)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Sequence(
            async (_, connection, _) =>
            {
                await connection.RawAsync(Encoding.Latin1.GetBytes(answer));
                await connection.HangAsync();
            },
            Echo));
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        using (var response = await client.SendAsync(upstream.BaseUrl, cancellation: cancellation))
        {
            Assert.Equal(4, await response.Body.ReadAsync(new byte[64], cancellation.Token));
            var more = response.Body.ReadAsync(new byte[64], cancellation.Token).AsTask();
            Assert.False(more.IsCompleted);

            await cancellation.CancelAsync();

            await EndsCancelledAsync(() => more, cancellation);
            await EndsCancelledAsync(() => response.Body.ReadAsync(new byte[64], cancellation.Token).AsTask(), cancellation);
        }

        await Await.For(upstream.Requests[0].Left, "the connection's end");
        Assert.Equal((200, "next"), await client.AskAsync(upstream.BaseUrl, "next"));
        Assert.Equal(2, upstream.Accepted);
    }

    [Fact]
    public async Task Body_CancelledWhenOver_ConnectionIsNotUsedAgain()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        var response = await client.SendAsync(upstream.BaseUrl, "one"u8.ToArray(), cancellation: cancellation);
        Assert.Equal("one", Encoding.Latin1.GetString(await WireClient.ReadAsync(response)));

        await cancellation.CancelAsync();
        response.Dispose();

        Assert.Equal((200, "two"), await client.AskAsync(upstream.BaseUrl, "two"));
        Assert.Equal(2, upstream.Accepted);
    }

    [Fact]
    public async Task Response_DisposedThenCancelled_NextRequestIsNotTouched()
    {
        var gate = new TaskCompletionSource();
        await using var upstream = ScriptedUpstream.Start(Scripts.Sequence(Echo, Scripts.After(gate.Task, Echo)));
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        using (var response = await client.SendAsync(upstream.BaseUrl, cancellation: cancellation))
        {
            Assert.Empty(await WireClient.ReadAsync(response));
        }

        var next = client.AskAsync(upstream.BaseUrl, "next");
        await Await.Until(() => upstream.Requests.Count == 2, "the next request is under way");
        await cancellation.CancelAsync();
        gate.SetResult();

        Assert.Equal((200, "next"), await next);
        Assert.Equal(1, upstream.Accepted);
    }

    private static async Task EndsCancelledAsync(Func<Task> act, CancellationTokenSource cancellation)
    {
        var exception = await Assert.ThrowsAsync<OperationCanceledException>(() => Await.For(act(), "the cancelled work's end"));
        Assert.Equal(cancellation.Token, exception.CancellationToken);
    }
}
