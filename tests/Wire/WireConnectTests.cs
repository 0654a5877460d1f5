using System.Globalization;
using System.Net;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Connections that do not come about: each says why, within <c>connect_timeout</c>.</summary>
public sealed class WireConnectTests
{
    [Fact]
    public async Task SendAsync_Refused_ConnectionError()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await upstream.StopAcceptingAsync();

        Assert.Equal(HttpRequestError.ConnectionError, await FailsAsync(upstream.BaseUrl));
    }

    [Theory]
    [InlineData("http://no-such-host.invalid/")]
    [InlineData("https://no-such-host.invalid/")]
    public async Task SendAsync_NameUnknown_NameResolutionError(string url) => Assert.Equal(HttpRequestError.NameResolutionError, await FailsAsync(new Uri(url)));

    [Fact]
    public async Task SendAsync_NameNoResolverTakes_ConnectionError()
    {
        var name = string.Join('.', Enumerable.Repeat(new string('x', 60), 5));

        Assert.Equal(HttpRequestError.ConnectionError, await FailsAsync(new Uri($"http://{name}/")));
    }

    [Fact]
    public async Task SendAsync_NoAnswerToConnecting_ConnectionErrorAfterConnectTimeout()
    {
        using var full = new FullListener();
        await full.FillAsync();
        var time = new ManualTime();
        using var client = new WireClient(time);

        await IsLimitedAsync(time, client.SendAsync(full.Url));
    }

    [Fact]
    public async Task SendAsync_HandshakeHangs_ConnectionErrorAfterConnectTimeout()
    {
        var greeted = new TaskCompletionSource();
        var left = new TaskCompletionSource();
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadAsync(100);
            greeted.SetResult();
            await peer.ReadToEndAsync();
            left.SetResult();
        });
        var time = new ManualTime();
        using var client = new WireClient(time);
        var asked = client.SendAsync(new Uri($"https://localhost:{server.Url.Port}/"));
        await Await.For(greeted.Task, "the handshake's begin");

        await IsLimitedAsync(time, asked);

        await Await.For(left.Task, "the connection's end");
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")]
    [InlineData("")]
    public async Task SendAsync_NoTlsThere_SecureConnectionError(string answer)
    {
        await using var server = BareServer.Start(async peer =>
        {
            await peer.ReadAsync(10);
            await peer.WriteAsync(System.Text.Encoding.Latin1.GetBytes(answer));
        });

        Assert.Equal(HttpRequestError.SecureConnectionError, await FailsAsync(new Uri($"https://localhost:{server.Url.Port}/")));
    }

    [Fact]
    public async Task SendAsync_CertificateNobodyKnows_SecureConnectionErrorAndNothingSent()
    {
        using var authority = new TestAuthority();
        using var certificate = authority.Issue("localhost");
        await using var server = BareServer.Start(BareServer.Always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), certificate);

        Assert.Equal(HttpRequestError.SecureConnectionError, await FailsAsync(server.Url));
    }

    /// <summary>A process that may open no more files cannot open a socket, either: that is no connection, and no fault in the program.</summary>
    [Fact]
    public async Task Chat_NoFileLeftToOpen_ConnectFailsUntilThereIs()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, ScriptedChat.Body("Hello"), ("Connection", "close")));
        await using var program = await ProgramProcess.Start("", $"health_check: {{enabled: false}}\nretry_count: 0\nendpoints:\n  - {{name: a, url: '{upstream.BaseUrl}'}}\n").ListenAsync();

        // Both ways once while files can be opened: code is read from files when it is first needed.
        await AsksAsync(HttpStatusCode.OK, "a;answering");
        await upstream.StopAcceptingAsync();
        await AsksAsync(HttpStatusCode.ServiceUnavailable, "a;connect_failed");
        await upstream.RestartAsync();

        await LimitFilesAsync(program.Id, "1");
        await AsksAsync(HttpStatusCode.ServiceUnavailable, "a;connect_failed");
        await LimitFilesAsync(program.Id, "1024");
        await AsksAsync(HttpStatusCode.OK, "a;answering");

        Assert.Equal(2, upstream.Requests.Count);

        async Task AsksAsync(HttpStatusCode status, string trail)
        {
            using var answer = await program.ChatAsync();
            Assert.Equal((status, true), (answer.StatusCode, answer.Headers.GetValues("X-Backend-Attempts").Single().StartsWith(trail, StringComparison.Ordinal)));
        }
    }

    private static async Task LimitFilesAsync(int process, string most)
    {
        await using var limit = ChildProcess.Start("prlimit", ["--pid", process.ToString(CultureInfo.InvariantCulture), $"--nofile={most}:"], "/");
        Assert.Equal(0, await limit.ExitCodeAsync());
    }

    private static async Task<HttpRequestError> FailsAsync(Uri url)
    {
        using var client = new WireClient();
        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => Await.For(client.SendAsync(url), "the failure", TimeSpan.FromSeconds(30)));
        Assert.NotNull(exception.InnerException);
        return exception.HttpRequestError;
    }

    private static async Task IsLimitedAsync(ManualTime time, Task<WireResponse> asked)
    {
        Assert.Equal(2, time.Waiting);
        time.Advance(WireClient.ConnectTimeout - TimeSpan.FromSeconds(1));
        Assert.False(asked.IsCompleted);

        time.Advance(TimeSpan.FromSeconds(1));

        var exception = await Assert.ThrowsAsync<HttpRequestException>(() => Await.For(asked, "the limit's taking effect"));
        Assert.Equal(HttpRequestError.ConnectionError, exception.HttpRequestError);
    }
}
