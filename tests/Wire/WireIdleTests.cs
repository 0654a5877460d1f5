using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>How long idle connections are kept.</summary>
public sealed class WireIdleTests
{
    private static readonly UpstreamScript Echo = (request, connection, _) => connection.RespondAsync(200, request.Body, "text/plain");

    [Theory]
    [InlineData("timeout=5", 3, true)]
    [InlineData("timeout=5", 4, false)]
    [InlineData("timeout=1", 0, false)]
    [InlineData("max=5", 14, true)]
    public async Task SendAsync_IdleForAsLongAsTheBackendKeepsIt_NewConnection(string keepAlive, int seconds, bool isSame)
    {
        var time = new ManualTime();
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, "{}", ("Keep-Alive", keepAlive)));
        using var client = new WireClient(time);
        await client.AskAsync(upstream.BaseUrl);

        time.Advance(TimeSpan.FromSeconds(seconds));
        await client.AskAsync(upstream.BaseUrl);

        Assert.Equal(isSame ? 1 : 2, upstream.Accepted);
    }

    [Fact]
    public async Task Sweep_IdleTooLong_Closed()
    {
        var time = new ManualTime();
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient(time);
        await client.AskAsync(upstream.BaseUrl);

        time.Advance(TimeSpan.FromSeconds(89));
        Assert.Equal((200, ""), await client.AskAsync(upstream.BaseUrl));
        Assert.Equal(1, upstream.Accepted);
        time.Advance(TimeSpan.FromSeconds(120));

        await Await.Until(() => upstream.Open == 0, "the idle connection is closed");
    }

    [Fact]
    public async Task Sweep_SomeIdleTooLong_OthersStayInTheirOrder()
    {
        var time = new ManualTime();
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient(time);
        var held = new List<WireResponse>();
        for (var number = 0; number < 4; number++)
        {
            held.Add(await client.SendAsync(upstream.BaseUrl));
        }

        held[3].Dispose();
        time.Advance(TimeSpan.FromSeconds(60));
        held[2].Dispose();
        held[0].Dispose();
        held[1].Dispose();
        time.Advance(TimeSpan.FromSeconds(60));
        await Await.Until(() => upstream.Open == 3, "the one idle for two minutes is closed");

        for (var number = 0; number < 3; number++)
        {
            held[number] = await client.SendAsync(upstream.BaseUrl);
        }

        Assert.Equal([1, 0, 2], upstream.Requests.Skip(4).Select(request => request.Connection));
        held.ForEach(response => response.Dispose());
    }

    [Fact]
    public async Task Return_OpenTooLong_Closed()
    {
        var time = new ManualTime();
        await using var upstream = ScriptedUpstream.Start(Echo);
        using var client = new WireClient(time);
        for (var minute = 0; minute < 5; minute++)
        {
            await client.AskAsync(upstream.BaseUrl);
            time.Advance(TimeSpan.FromSeconds(59));
        }

        Assert.Equal(1, upstream.Accepted);
        using (await client.SendAsync(upstream.BaseUrl))
        {
            time.Advance(TimeSpan.FromSeconds(10));
        }

        await Await.Until(() => upstream.Open == 0, "the connection that was opened five minutes ago is closed");
    }

    [Fact]
    public async Task Sweep_ClosedByTheServer_ClosedHereToo()
    {
        var time = new ManualTime();
        var closed = new TaskCompletionSource();
        var left = new TaskCompletionSource();
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            await peer.EndAsync();
            closed.SetResult();
            await peer.ReadToEndAsync();
            left.SetResult();
        });
        using var client = new WireClient(time);
        await client.AskAsync(server.Url);
        await Await.For(closed.Task, "the server's closing");
        Assert.False(left.Task.IsCompleted);

        time.Advance(TimeSpan.FromSeconds(15));

        await Await.For(left.Task, "the client's end of it");
    }

    [Fact]
    public async Task Dispose_WithIdleAndBusyOnes_ClosesIdleAtOnceAndBusyAtTheirEnd()
    {
        await using var upstream = ScriptedUpstream.Start(Echo);
        var client = new WireClient();
        var busy = await client.SendAsync(upstream.BaseUrl, "busy"u8.ToArray());
        await client.AskAsync(upstream.BaseUrl);
        Assert.Equal(2, upstream.Open);

        client.Dispose();
        await Await.Until(() => upstream.Open == 1, "the idle one is closed");
        Assert.Equal("busy", Encoding.Latin1.GetString(await WireClient.ReadAsync(busy)));
        busy.Dispose();
        busy.Dispose();
        client.Dispose();

        await Await.Until(() => upstream.Open == 0, "the busy one is closed");
    }
}
