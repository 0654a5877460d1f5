using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Headers and queries, both ways, and compressed answers.</summary>
public sealed class HeaderTests : IAsyncLifetime
{
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Theory]
    [InlineData("bearer", "Bearer own-key", null)]
    [InlineData("api-key", null, "own-key")]
    [InlineData("none", null, null)]
    public async Task Credentials_BackendWithItsOwn_NeverSeesTheClients(string auth, string? authorization, string? apiKey)
    {
        await using var host = await StartAsync(backend => backend with { ApiKey = "own-key", Auth = auth switch { "bearer" => BackendAuth.Bearer, "api-key" => BackendAuth.ApiKey, _ => BackendAuth.None } });

        using var response = await host.PostAsync("/v1/chat/completions?code=function-secret&x=1&CODE=again", BalancerHost.ChatJson(),
            ("Authorization", "Bearer client-secret"), ("api-key", "client-secret"), ("x-api-key", "client-secret"), ("Cookie", "session=client-secret"),
            ("x-functions-key", "function-secret"), ("Proxy-Authorization", "Basic client-secret"), ("X-MS-CLIENT-PRINCIPAL", "client-secret"));

        var request = Assert.Single(_upstream.Requests);
        Assert.Equal((authorization, apiKey), (request.Header("Authorization"), request.Header("api-key")));
        Assert.Equal("/v1/chat/completions?x=1", request.Target);
        Assert.DoesNotContain(request.Headers, header => header.Value.Contains("client-secret", StringComparison.Ordinal) || header.Value.Contains("function-secret", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false, "Bearer for-the-backend")]
    [InlineData(true, null)]
    public async Task Credentials_BackendWithoutAKey_GetsTheClientsOnlyWhileWeAskForNone(bool asksForKeys, string? arrives)
    {
        await using var host = await BalancerHost.StartAsync([_upstream], options => options with { ClientKeys = asksForKeys ? [new ClientKey("team", "for-the-backend")] : [] });

        using var response = await host.ChatAsync(headers: ("Authorization", "Bearer for-the-backend"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(arrives, Assert.Single(_upstream.Requests).Header("Authorization"));
    }

    [Fact]
    public async Task RequestHeaders_HopByHop_StopHereAndOthersPass()
    {
        await using var host = await StartAsync(backend => backend);

        using var response = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(),
            ("Connection", "X-Only-Here"), ("X-Only-Here", "1"), ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"),
            ("X-Backend-Tags", ""), ("OpenAI-Organization", "org"), ("User-Agent", "Test/1.0 (x)"), ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));

        var request = Assert.Single(_upstream.Requests);
        Assert.All((string[])["X-Only-Here", "Keep-Alive", "TE", "Proxy-Connection", "Upgrade", "X-Backend-Tags"], name => Assert.Null(request.Header(name)));
        Assert.Equal(("org", "Test/1.0 (x)"), (request.Header("OpenAI-Organization"), request.Header("User-Agent")));
        Assert.StartsWith("00-4bf92f3577b34da6a3ce929d0e0e4736-", request.Header("traceparent"), StringComparison.Ordinal);
        Assert.Equal($"127.0.0.1:{_upstream.Port}", request.Header("Host"));
        Assert.Equal("application/json; charset=utf-8", request.Header("Content-Type"));
    }

    [Theory]
    [InlineData("caf\u00c3\u00a9 in UTF-8")]
    [InlineData("caf\u00e9 in Latin-1")]
    public async Task Headers_BeyondAscii_PassByteForByteBothWays(string latin1)
    {
        _upstream.Script = async (request, connection, _) =>
        {
            var body = ScriptedChat.Body("ok");
            await connection.RawAsync(System.Text.Encoding.Latin1.GetBytes(
                $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nX-Title: {request.Header("X-Title")}\r\n\r\n{body}"));
        };
        await using var host = await StartAsync(backend => backend);
        var body = BalancerHost.ChatJson();

        var answer = await RawHttp.AskAsync(host.Url,
            $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Title: {latin1}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Equal(latin1, Assert.Single(_upstream.Requests).Header("X-Title"));
        Assert.Contains($"X-Title: {latin1}\r\n", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnswerHeaders_HopByHop_StopHereAndOthersPass()
    {
        _upstream.Script = Scripts.Respond(200, ScriptedChat.Body("ok"), ("Connection", "X-Only-There"), ("X-Only-There", "1"), ("Keep-Alive", "timeout=5"),
            ("Set-Cookie", "a=b"), ("Server", "uvicorn"), ("openai-processing-ms", "12"), ("x-ratelimit-remaining-requests", "9"), ("X-Backend", "forged"), ("X-Request-Id", "theirs"));
        await using var host = await StartAsync(backend => backend);

        using var response = await host.ChatAsync();

        Assert.All((string[])["X-Only-There", "Keep-Alive", "Set-Cookie", "Server"], name => Assert.False(response.Headers.Contains(name), name));
        Assert.Equal(("12", "9", "a"), (One(response, "openai-processing-ms"), One(response, "x-ratelimit-remaining-requests"), One(response, "X-Backend")));
        Assert.NotEqual("theirs", One(response, "X-Request-Id"));
    }

    [Fact]
    public async Task Backend_HeadersAndQuery_GoWithEveryRequest()
    {
        await using var host = await StartAsync(backend => backend with
        {
            Headers = [new("X-Team", "blue"), new("User-Agent", "ours")],
            Query = "api-version=2024-10-21",
            BaseUrl = new Uri($"http://127.0.0.1:{_upstream.Port}/openai/deployments/gpt-4o"),
        });

        using var response = await host.PostAsync("/v1/chat/completions?api-version=1999&stream=x%20y", BalancerHost.ChatJson(), ("X-Team", "red"), ("User-Agent", "client"));

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Token));
        var request = Assert.Single(_upstream.Requests);
        Assert.Equal("/openai/deployments/gpt-4o/chat/completions?stream=x%20y&api-version=2024-10-21", request.Target);
        Assert.Equal(("blue", "ours"), (request.Header("X-Team"), request.Header("User-Agent")));
        Assert.Single(request.Headers, header => header.Key.Equals("X-Team", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Answer_AfterARetry_TellsBackendAttemptsAndId()
    {
        await using var failing = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([failing, _upstream]);

        using var response = await host.ChatAsync();

        Assert.Equal(("b", "2"), (One(response, "X-Backend"), One(response, "X-Attempts")));
        Assert.Matches("^a;server_error;[0-9]+, b;answering;[0-9]+$", One(response, "X-Backend-Attempts"));
        var id = One(response, "X-Request-Id");
        Assert.StartsWith("req_", id, StringComparison.Ordinal);
        Assert.Equal((id, id), (failing.Requests[0].Header("X-Request-Id"), _upstream.Requests[0].Header("X-Request-Id")));
    }

    [Theory]
    [InlineData("my-id.42:a_b", true)]
    [InlineData("has space", false)]
    [InlineData("<script>", false)]
    public async Task RequestId_FromTheClient_IsKeptWhereItIsPlain(string id, bool isKept)
    {
        await using var host = await StartAsync(backend => backend);

        using var response = await host.ChatAsync(headers: ("X-Request-Id", id));

        Assert.Equal(isKept, One(response, "X-Request-Id") == id);
        Assert.Equal(One(response, "X-Request-Id"), _upstream.Requests[0].Header("X-Request-Id"));
    }

    [Theory]
    [InlineData("gzip", "gzip, br", true)]
    [InlineData("br", "br", true)]
    [InlineData("gzip", "*", true)]
    [InlineData("gzip", "br", false)]
    [InlineData("br", "gzip;q=1, br;q=0", false)]
    [InlineData("gzip", null, false)]
    [InlineData("br", null, false)]
    public async Task CompressedAnswer_Accepted_PassesAsItIsElseDecodedAndIsCountedEitherWay(string coding, string? accepted, bool passes)
    {
        var plain = System.Text.Encoding.UTF8.GetBytes(ScriptedChat.Body("three small words"));
        var coded = Compress(coding, plain);
        _upstream.Script = (_, connection, _) => connection.RespondAsync(200, coded, "application/json", ("Content-Encoding", coding), ("Vary", "Accept-Encoding"));
        await using var host = await StartAsync(backend => backend);

        using var response = await host.ChatAsync(headers: accepted is null ? [] : [("Accept-Encoding", accepted)]);
        var body = await response.Content.ReadAsByteArrayAsync(Token);

        Assert.Equal(passes ? coded : plain, body);
        Assert.Equal(passes ? [coding] : [], response.Content.Headers.ContentEncoding);
        Assert.Equal(body.Length, response.Content.Headers.ContentLength);
        var totals = (await host.SettledAsync()).For("a").Totals;
        Assert.Equal((ScriptedChat.PromptTokens, 3L), (totals.InputTokens, totals.OutputTokens));
    }

    [Fact]
    public async Task CompressedAnswer_Broken_IsHadElsewhere()
    {
        await using var broken = ScriptedUpstream.Start((_, connection, _) => connection.RespondAsync(200, [0x1f, 0x8b, 8, 0, 1, 2, 3], "application/json", ("Content-Encoding", "gzip")));
        await using var host = await BalancerHost.StartAsync([broken, _upstream]);

        using var response = await host.ChatAsync(headers: ("Accept-Encoding", "gzip"));

        Assert.Equal((HttpStatusCode.OK, "b"), (response.StatusCode, One(response, "X-Backend")));
        Assert.Equal(1, (await host.SettledAsync()).Count("a", OutcomeKind.AnswerMalformed));
    }

    private static byte[] Compress(string coding, byte[] plain)
    {
        using var coded = new MemoryStream();
        using (Stream coder = coding == "br" ? new System.IO.Compression.BrotliStream(coded, System.IO.Compression.CompressionMode.Compress)
            : new System.IO.Compression.GZipStream(coded, System.IO.Compression.CompressionMode.Compress))
        {
            coder.Write(plain);
        }

        return coded.ToArray();
    }

    private static string One(HttpResponseMessage response, string name) => response.Headers.GetValues(name).Single();

    private Task<BalancerHost> StartAsync(Func<Backend, Backend> shape) => BalancerHost.StartAsync([_upstream], shape: (_, backend) => shape(backend));
}
