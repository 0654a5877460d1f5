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

        await EndsCancelledAsync(() => client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token), cancellation);
        await EndsCancelledAsync(() => client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token), cancellation);

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
        var asked = client.SendAsync(full.Url, cancellationToken: cancellation.Token);
        Assert.False(asked.IsCompleted);

        await cancellation.CancelAsync();

        await EndsCancelledAsync(() => asked, cancellation);
    }

    [Fact]
    public async Task SendAsync_CancelledInTheHandshake_Ends()
    {
        var left = new TaskCompletionSource();
        var greeted = new TaskCompletionSource();
        await using var server = BareServer.Start(async (stream, _) =>
        {
            await stream.ReadExactlyAsync(new byte[100]);
            greeted.SetResult();
            await BareServer.ReadToEndAsync(stream);
            left.SetResult();
        });
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(new Uri($"https://127.0.0.1:{server.Url.Port}/"), cancellationToken: cancellation.Token);
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
        await using var server = BareServer.Start(async (stream, _) =>
        {
            if (isUsedBefore)
            {
                await BareServer.ReadRequestAsync(stream);
                await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
            }

            await stream.ReadExactlyAsync(new byte[100]);
            isReading.Release();
            await goOn.Task;
            await BareServer.ReadToEndAsync(stream);
            left.SetResult();
        });
        using var client = new WireClient();
        if (isUsedBefore)
        {
            await client.AskAsync(server.Url);
        }

        using var cancellation = new CancellationTokenSource();
        var asked = client.SendAsync(server.Url, new byte[50_000_000], cancellationToken: cancellation.Token);
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
        var asked = client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token);
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
        using (var response = await client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token))
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

    /// <summary>Closing a socket can end a read on another thread with nothing read, which is how such a body ends when it is whole.</summary>
    [Fact]
    public async Task Body_UntilCloseCancelledAtAnyMoment_NeverLooksWhole()
    {
        await using var upstream = ScriptedUpstream.Start(async (_, connection, gone) =>
        {
            await connection.RawAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray());
            while (!gone.IsCancellationRequested)
            {
                await connection.RawAsync("more"u8.ToArray());
            }
        });
        using var client = new WireClient();
        var buffer = new byte[16];
        var read = 0;
        for (var number = 0; number < 300; number++)
        {
            using var cancellation = new CancellationTokenSource();
            using var response = await client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token);
            var cancelling = Task.Run(cancellation.Cancel, TestContext.Current.CancellationToken);

            await Assert.ThrowsAsync<OperationCanceledException>(async () =>
            {
                while ((read = await response.Body.ReadAsync(buffer, cancellation.Token)) > 0)
                {
                }
            });

            Assert.NotEqual(0, read);
            await cancelling;
            read = -1;
        }
    }

    [Fact]
    public async Task Body_CancelledWhenOver_ConnectionIsNotUsedAgain()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient();
        using var cancellation = new CancellationTokenSource();
        var response = await client.SendAsync(upstream.BaseUrl, "one"u8.ToArray(), cancellationToken: cancellation.Token);
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
        using (var response = await client.SendAsync(upstream.BaseUrl, cancellationToken: cancellation.Token))
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

    /// <summary>Cancelled at every moment there is, over connections that are shared: whoever is answered gets an answer to its own question.</summary>
    [Fact]
    public async Task SendAsync_ManyCancelledAtAnyMoment_NobodyGetsAnothersAnswer()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        upstream.Keeps = false;
        using var client = new WireClient();
        var answered = 0;
        var cancelled = 0;

        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(() => AskManyAsync(worker), TestContext.Current.CancellationToken)));

        Assert.True(answered > 0 && cancelled > 0, $"{answered} were answered and {cancelled} cancelled: that tells nothing.");
        Assert.Equal((200, "last"), await client.AskAsync(upstream.BaseUrl, "last"));

        async Task AskManyAsync(int worker)
        {
            var random = new Random(worker);
            for (var number = 0; number < 200; number++)
            {
                var question = string.Create(CultureInfo.InvariantCulture, $"{worker}-{number}-{new string('x', random.Next(3) * 6000)}");
                using var cancellation = new CancellationTokenSource();
                var cancelling = number % 2 == 0 ? Task.CompletedTask : Task.Run(() => CancelSoonAsync(random.Next(60), cancellation));
                try
                {
                    using var response = await client.SendAsync(upstream.BaseUrl, Encoding.Latin1.GetBytes(question), cancellationToken: cancellation.Token);
                    Assert.Equal(question, Encoding.Latin1.GetString(await WireClient.ReadAsync(response)));
                    Interlocked.Increment(ref answered);
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    Interlocked.Increment(ref cancelled);
                }

                await cancelling;
            }
        }

        static async Task CancelSoonAsync(int steps, CancellationTokenSource cancellation)
        {
            for (var step = 0; step < steps; step++)
            {
                await Task.Yield();
            }

            await cancellation.CancelAsync();
        }
    }

    private static async Task EndsCancelledAsync(Func<Task> act, CancellationTokenSource cancellation)
    {
        var exception = await Assert.ThrowsAsync<OperationCanceledException>(() => Await.For(act(), "the cancelled work's end"));
        Assert.Equal(cancellation.Token, exception.CancellationToken);
    }
}
