using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Wire;

/// <summary>Backends over TLS, and the program in front of them, which trusts the authority that <c>SSL_CERT_FILE</c> names.</summary>
public sealed class WireTlsTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly string _pem = Path.GetTempFileName();
    private readonly ConcurrentQueue<string> _requests = new();

    public WireTlsTests() => File.WriteAllText(_pem, _authority.Pem);

    public void Dispose()
    {
        _authority.Dispose();
        File.Delete(_pem);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Chat_TrustedBackend_ChatAndStreamOverOneConnection(bool isBelowAnIntermediate)
    {
        using var intermediate = _authority.Intermediate();
        using var certificate = (isBelowAnIntermediate ? intermediate : _authority).Issue("localhost");
        await using var backend = BareServer.Start(AnswerAsync, certificate, isBelowAnIntermediate ? intermediate.Chain : null);
        await using var program = await StartAsync(backend.Url);

        using var chat = await program.ChatAsync();
        Assert.Equal((HttpStatusCode.OK, ScriptedChat.Body("Hello", "m")), (chat.StatusCode, await TextOf(chat)));
        using var stream = await program.ChatAsync(stream: true);
        Assert.Equal(HttpStatusCode.OK, stream.StatusCode);
        Assert.EndsWith("data: [DONE]\n\n", await TextOf(stream), StringComparison.Ordinal);
        using var again = await program.ChatAsync();
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);

        Assert.Equal((1, 3), (backend.Accepted, _requests.Count));
        Assert.All(_requests, request => Assert.Contains($"\r\nHost: localhost:{backend.Url.Port}\r\n", request, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Chat_BackendClosesItsIdleConnections_NoRequestIsLost()
    {
        using var certificate = _authority.Issue("localhost");
        var closed = new SemaphoreSlim(0);
        await using var backend = BareServer.Start(
            async peer =>
            {
                await AnswerOneAsync(peer);
                await peer.EndAsync();
                closed.Release();
                await peer.ReadToEndAsync();
            },
            certificate);
        await using var program = await StartAsync(backend.Url);

        for (var request = 1; request <= 4; request++)
        {
            using var chat = await program.ChatAsync();
            Assert.Equal((HttpStatusCode.OK, request), (chat.StatusCode, backend.Accepted));
            await Await.For(closed.WaitAsync(TestContext.Current.CancellationToken), "the backend's closing");
        }
    }

    [Fact]
    public async Task Chat_LargeBodyBothWays_ArrivesWhole()
    {
        using var certificate = _authority.Issue("localhost");
        await using var backend = BareServer.Start(AnswerAsync, certificate);
        await using var program = await StartAsync(backend.Url);
        var body = $$"""{"model":"m","messages":[{"role":"user","content":"{{new string('x', 3_000_000)}}"}]}""";
        using var content = new StringContent(body, Encoding.UTF8, "application/json");

        using var answer = await program.Http.PostAsync("/v1/chat/completions", content, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains($"\r\nContent-Length: {body.Length}\r\n", _requests.Single(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("wrong name")]
    [InlineData("unknown authority")]
    [InlineData("broken chain")]
    public async Task Chat_UntrustedBackend_ConnectFailsAndNothingIsSent(string fault)
    {
        using var other = new TestAuthority();
        using var intermediate = _authority.Intermediate();
        var fetched = new ConcurrentQueue<string>();
        await using var issuer = BareServer.Start(async peer =>
        {
            // The missing certificate would be here: fetching it would have the backend choose what this machine asks for, on a thread that must not wait.
            fetched.Enqueue(await peer.ReadRequestAsync() ?? "");
            await peer.WriteAsync("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        });
        using var certificate = fault switch
        {
            "wrong name" => _authority.Issue("elsewhere.test"),
            "unknown authority" => other.Issue("localhost"),
            _ => intermediate.Issue("localhost", new Uri(issuer.Url, "/intermediate.crt")),
        };
        await using var backend = BareServer.Start(AnswerAsync, certificate);
        await using var program = await StartAsync(backend.Url, "retry_count: 0");

        using var answer = await program.ChatAsync();

        var text = await TextOf(answer);
        Assert.True(answer.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable, $"{answer.StatusCode}: {text}");
        Assert.Contains("connect_failed", answer.Headers.GetValues("X-Backend-Attempts").Single(), StringComparison.Ordinal);
        Assert.DoesNotContain("localhost", text, StringComparison.Ordinal);
        Assert.Contains("The remote certificate is invalid", await program.Http.GetStringAsync("/api/v1/load_balancer/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Empty(_requests);
        Assert.Empty(fetched);
    }

    [Fact]
    public async Task Models_TrustedBackend_AreItsOwn()
    {
        using var certificate = _authority.Issue("localhost");
        await using var backend = BareServer.Start(AnswerAsync, certificate);
        await using var program = await StartAsync(backend.Url, "models_cache: 1");

        using var models = await program.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);

        Assert.Contains("scripted-over-tls", await TextOf(models), StringComparison.Ordinal);
    }

    private static Task<string> TextOf(HttpResponseMessage answer) => answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    private async Task AnswerAsync(BarePeer peer)
    {
        while (await AnswerOneAsync(peer))
        {
        }
    }

    private async Task<bool> AnswerOneAsync(BarePeer peer)
    {
        if (await peer.ReadRequestAsync() is not { } request)
        {
            return false;
        }

        _requests.Enqueue(request);
        if (request.StartsWith("GET /v1/models ", StringComparison.Ordinal))
        {
            await WriteAsync("application/json", """{"object":"list","data":[{"id":"scripted-over-tls","object":"model"}]}""");
        }
        else if (_requests.Count == 2)
        {
            await WriteAsync("text/event-stream", string.Concat(ScriptedChat.Events("Hello", "m", false).Append("[DONE]").Select(data => $"data: {data}\n\n")));
        }
        else
        {
            await WriteAsync("application/json", ScriptedChat.Body("Hello", "m"));
        }

        return true;

        Task WriteAsync(string type, string body) => peer.WriteAsync(
            $"HTTP/1.1 200 OK\r\nContent-Type: {type}\r\nTransfer-Encoding: chunked\r\n\r\n{Encoding.UTF8.GetByteCount(body):x}\r\n{body}\r\n0\r\n\r\n");
    }

    private async Task<ProgramProcess> StartAsync(Uri backend, string more = "") => await ProgramProcess.Start("", $$"""
        health_check: {enabled: false}
        {{more}}
        endpoints:
          - {name: secure, url: '{{backend}}'}
        """, ("SSL_CERT_FILE", _pem)).ListenAsync();
}
