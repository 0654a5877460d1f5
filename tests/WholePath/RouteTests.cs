using System.Collections.Frozen;
using System.Net;
using System.Text.Json;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Routes other than the generating ones, the way without balancing, and connections of every kind.</summary>
public sealed class RouteTests : IAsyncLifetime
{
    private readonly ScriptedUpstream _a = ScriptedUpstream.Start(Scripts.Chat("ok"));
    private readonly ScriptedUpstream _b = ScriptedUpstream.Start(Scripts.Chat("ok"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _a.DisposeAsync();
        await _b.DisposeAsync();
    }

    [Fact]
    public async Task Models_SeveralBackends_AreTheUnionAskedOnce()
    {
        _a.ProbeScript = Scripts.Models("shared", "only-a");
        _b.ProbeScript = Scripts.Models("shared", "only-b");
        await using var configured = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([_a, _b, configured], options => options with { ModelsCache = TimeSpan.FromHours(1) },
            (index, backend) => index == 2 ? backend with { Models = FrozenDictionary.ToFrozenDictionary([KeyValuePair.Create("alias", "hidden")]) } : backend);

        Assert.Equal(["alias", "only-a", "only-b", "shared"], await ModelsAsync(host));
        Assert.Equal(["alias", "only-a", "only-b", "shared"], await ModelsAsync(host));
        Assert.Equal((1, 1, 0), (_a.Probes.Count, _b.Probes.Count, configured.Probes.Count));

        host.Pools.Swap(host.Pools.Current.Options with { Backends = host.Pools.Current.Backends.RemoveAt(0) });
        Assert.Equal(["alias", "only-b", "shared"], await ModelsAsync(host));
    }

    [Theory]
    [InlineData("only-a", HttpStatusCode.OK)]
    [InlineData("org%2Fname", HttpStatusCode.OK)]
    [InlineData("org/name", HttpStatusCode.OK)]
    [InlineData("absent", HttpStatusCode.NotFound)]
    public async Task Model_ById_IsTheBackendsOwnDescriptionOr404(string id, HttpStatusCode status)
    {
        _a.ProbeScript = Scripts.Models("only-a", "org/name");
        await using var host = await BalancerHost.StartAsync([_a]);

        using var response = await host.Http.GetAsync($"/v1/models/{id}", Token);

        Assert.Equal(status, response.StatusCode);
        if (status == HttpStatusCode.NotFound)
        {
            await OpenAIError.AssertAsync(response, status, "model_not_found");
            return;
        }

        using var model = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Token));
        Assert.Equal((Uri.UnescapeDataString(id), "scripted"), (model.RootElement.GetProperty("id").GetString(), model.RootElement.GetProperty("owned_by").GetString()));
    }

    [Fact]
    public async Task Models_OneDeadThenAll_ShowsWhatIsLeftThen503()
    {
        _a.ProbeScript = Scripts.Models("from-a");
        await _b.KillAsync();
        await using var host = await BalancerHost.StartAsync([_a, _b], options => options with { ModelsCache = TimeSpan.Zero });
        Assert.Equal(["from-a"], await ModelsAsync(host));

        await using var fresh = await BalancerHost.StartAsync([_b]);
        using var response = await fresh.Http.GetAsync("/v1/models", Token);

        await OpenAIError.AssertAsync(response, HttpStatusCode.ServiceUnavailable, "no_healthy_backend");
        Assert.NotNull(response.Headers.RetryAfter);
        await _a.KillAsync();
        Assert.Equal(["from-a"], await ModelsAsync(host));
    }

    [Fact]
    public async Task HealthAndReady_LastBackendOut_OnlyReadySaysSo()
    {
        await using var host = await BalancerHost.StartAsync([_a], options => options with { FailureThreshold = 1, PanicMode = false, RetryCount = 0, Cooldown = TimeSpan.FromHours(1), CooldownMax = TimeSpan.FromHours(1) });
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (await StatusAsync(host, "/health"), await StatusAsync(host, "/ready")));

        await _a.KillAsync();
        using var lost = await host.ChatAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, lost.StatusCode);
        await host.SettledAsync();

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (await StatusAsync(host, "/health"), await StatusAsync(host, "/ready")));
        using var refused = await host.ChatAsync();
        await OpenAIError.AssertAsync(refused, HttpStatusCode.ServiceUnavailable, "no_healthy_backend");
        Assert.Equal("0", refused.Headers.GetValues("X-Attempts").Single());
    }

    [Fact]
    public async Task SingleBackend_AnyAnswer_GoesStraightThroughUncounted()
    {
        _a.Script = Scripts.Sequence(Scripts.Chat("straight"), Scripts.ErrorBody(503, "busy", "Own words."), Scripts.Chat("straight"));
        await using var host = await BalancerHost.StartAsync([_a], options => options with { Mode = BalancingMode.SingleBackend }, (_, backend) => backend with { ModelName = "real", ApiKey = "own" });

        using var first = await host.ChatAsync(headers: ("Authorization", "Bearer client"));
        using var second = await host.ChatAsync();
        using var third = await host.ChatAsync(stream: true);

        Assert.Equal(ScriptedChat.Body("straight"), await first.Content.ReadAsStringAsync(Token));
        Assert.Equal(("real", "Bearer own"), (_a.Requests[0].Property("model")?.GetString(), _a.Requests[0].Header("Authorization")));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, second.StatusCode);
        Assert.Contains("Own words.", await second.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Equal(("straight", true), Sse.Text(await third.Content.ReadAsStringAsync(Token)));
        Assert.Equal(3, _a.Requests.Count);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(host, "/ready"));
        Assert.Empty((await host.ReadAsync()).Backends.Where(backend => backend.Totals.Requests > 0));
    }

    [Fact]
    public async Task SingleBackend_Unreachable_Is503WithRetryAfter()
    {
        await _a.KillAsync();
        await using var host = await BalancerHost.StartAsync([_a], options => options with { Mode = BalancingMode.SingleBackend });

        using var response = await host.ChatAsync();

        await OpenAIError.AssertAsync(response, HttpStatusCode.ServiceUnavailable, "no_healthy_backend");
        Assert.NotNull(response.Headers.RetryAfter);
    }

    [Theory]
    [InlineData("GET", "/v1/files/file-1/content?x=1&y=a%2Fb")]
    [InlineData("DELETE", "/v1/files/file-1")]
    [InlineData("GET", "/v1/batches")]
    [InlineData("GET", "/v1/a%20b/c%2Fd")]
    public async Task OtherRoute_WithoutBody_PassesAsItIs(string method, string target)
    {
        byte[] answer = [.. Enumerable.Range(0, 70_000).Select(i => (byte)(i * 7))];
        _a.Script = (_, connection, _) => connection.RespondAsync(200, answer, "application/octet-stream", ("X-Extra", "kept"));
        await using var host = await BalancerHost.StartAsync([_a]);

        using var response = await host.Http.SendAsync(new HttpRequestMessage(new HttpMethod(method), target), Token);

        Assert.Equal(answer, await response.Content.ReadAsByteArrayAsync(Token));
        Assert.Equal(("kept", "application/octet-stream"), (response.Headers.GetValues("X-Extra").Single(), response.Content.Headers.ContentType?.MediaType));
        var request = Assert.Single(_a.Requests);
        Assert.Equal((method, target), (request.Method, request.Target));
        Assert.Empty(request.Body);
        Assert.Null(request.Header("Transfer-Encoding"));
    }

    [Fact]
    public async Task OtherRoute_Head_HasHeadersAndNoBody()
    {
        _a.Script = (_, connection, _) => connection.RawAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1234\r\nX-Extra: kept\r\n\r\n"u8.ToArray());
        await using var host = await BalancerHost.StartAsync([_a]);

        using var response = await host.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/v1/files/file-1"), Token);

        Assert.Equal((HttpStatusCode.OK, "kept"), (response.StatusCode, response.Headers.GetValues("X-Extra").Single()));
        Assert.Empty(await response.Content.ReadAsByteArrayAsync(Token));
        Assert.Equal("HEAD", Assert.Single(_a.Requests).Method);
    }

    [Theory]
    [InlineData("rerank", """{"model":"m","query":"q","documents":["a"]}""")]
    [InlineData("moderations", """{"input":"text"}""")]
    [InlineData("images/generations", """{"prompt":"p"}""")]
    [InlineData("something/new", """{"model":"m","field":true}""")]
    public async Task OtherRoute_WithBody_PassesAsItIs(string path, string body)
    {
        _a.Script = Scripts.Respond(200, """{"ok":true}""");
        await using var host = await BalancerHost.StartAsync([_a]);

        using var response = await host.PostAsync("/v1/" + path, body);

        Assert.Equal("""{"ok":true}""", await response.Content.ReadAsStringAsync(Token));
        Assert.Equal(("/v1/" + path, body), (_a.Requests[0].Target, _a.Requests[0].Text));
    }

    [Theory]
    [InlineData(204)]
    [InlineData(201)]
    public async Task OtherRoute_StatusWithoutContent_ComesThrough(int status)
    {
        _a.Script = async (_, connection, _) =>
        {
            await connection.RawAsync(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 {status} Fine\r\n{(status == 204 ? "" : "Content-Length: 0\r\n")}X-Extra: kept\r\n\r\n"));
        };
        await using var host = await BalancerHost.StartAsync([_a]);

        using var response = await host.Http.DeleteAsync("/v1/files/file-1", Token);

        Assert.Equal((status, "kept"), ((int)response.StatusCode, response.Headers.GetValues("X-Extra").Single()));
    }

    [Theory]
    [InlineData("HTTP/1.0", "", false)]
    [InlineData("HTTP/1.0", "", true)]
    [InlineData("HTTP/1.1", "Connection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: close\r\n", true)]
    public async Task Client_ThatClosesAfterOne_GetsAllOfIt(string version, string header, bool stream)
    {
        await using var host = await BalancerHost.StartAsync([_a]);
        var body = BalancerHost.ChatJson(stream);

        var answer = await RawHttp.AskAsync(host.Url, $"POST /v1/chat/completions {version}\r\nHost: x\r\n{header}Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(stream ? "data: [DONE]" : "\"content\":\"ok\"", answer, StringComparison.Ordinal);
        Assert.Equal(version == "HTTP/1.1" && stream, answer.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase));
        Assert.NotEqual("close", _a.Requests[0].Header("Connection"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Upstream_OneAfterTheOther_IsAskedOverOneConnection(bool stream)
    {
        await using var host = await BalancerHost.StartAsync([_a]);
        for (var i = 0; i < 30; i++)
        {
            using var response = await host.ChatAsync(stream);
            await response.Content.ReadAsByteArrayAsync(Token);
            await host.SettledAsync();
        }

        Assert.Equal(30, _a.Requests.Count);
        Assert.InRange(_a.Accepted, 1, 3);
    }

    [Fact]
    public async Task Client_ThatLeavesMidStream_FreesItsUpstreamAndBlamesNobody()
    {
        _a.Script = Scripts.StreamThen(ScriptedChat.Events("begun but never ended").Take(3), connection => connection.HangAsync());
        await using var host = await BalancerHost.StartAsync([_a]);
        using (var response = await host.ChatAsync(stream: true))
        {
            await using var stream = await response.Content.ReadAsStreamAsync(Token);
            Assert.True(await stream.ReadAsync(new byte[10], Token) > 0);
        }

        await Await.For(_a.Requests[0].Left, "the upstream connection's end");
        var books = await host.SettledAsync();

        Assert.Equal((1, 0, 1.0), (books.Count("a", OutcomeKind.ClientLeft), books.For("a").Vitals.ConsecutiveFailures, books.For("a").Totals.SuccessRatio));
    }

    private static async Task<HttpStatusCode> StatusAsync(BalancerHost host, string path)
    {
        using var response = await host.Http.GetAsync(path, Token);
        return response.StatusCode;
    }

    private static async Task<string[]> ModelsAsync(BalancerHost host)
    {
        using var response = await host.Http.GetAsync("/v1/models", Token);
        using var list = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Token));
        Assert.Equal("list", list.RootElement.GetProperty("object").GetString());
        return [.. list.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!).Order(StringComparer.Ordinal)];
    }
}
