using System.Globalization;
using System.Net;
using System.Text;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>What cannot be served is refused in OpenAI's shape.</summary>
public sealed class ErrorTests : IAsyncLifetime
{
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Theory]
    [InlineData("{")]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("""{"model":"m","messages":[}""")]
    [InlineData("""{"model":5}""")]
    [InlineData("""{"model":"m"} trailing""")]
    public async Task Body_Malformed_IsRefusedUnsent(string body)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync("/v1/chat/completions", body);

        var error = await response.Content.ReadAsStringAsync(Token);
        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{response.StatusCode}: {error}");
        Assert.Contains("\"invalid_request_error\"", error, StringComparison.Ordinal);
        Assert.Empty(_upstream.Requests);
    }

    [Theory]
    [InlineData(null, null, HttpStatusCode.Unauthorized)]
    [InlineData("Authorization", "Bearer wrong", HttpStatusCode.Unauthorized)]
    [InlineData("Authorization", "Bearer ", HttpStatusCode.Unauthorized)]
    [InlineData("Authorization", "Basic right", HttpStatusCode.Unauthorized)]
    [InlineData("api-key", "wrong", HttpStatusCode.Unauthorized)]
    [InlineData("Authorization", "Bearer right", HttpStatusCode.OK)]
    [InlineData("Authorization", "bearer right", HttpStatusCode.OK)]
    [InlineData("api-key", "right", HttpStatusCode.OK)]
    public async Task Key_NeededByTheBalancer_OnlyAKnownOnePasses(string? header, string? value, HttpStatusCode status)
    {
        await using var host = await StartAsync(options => options with { ClientKeys = [new ClientKey("team", "right"), new ClientKey("other", "another")] });

        using var response = await host.ChatAsync(headers: header is null ? [] : [(header, value!)]);

        Assert.Equal(status, response.StatusCode);
        if (status == HttpStatusCode.Unauthorized)
        {
            await OpenAIError.AssertAsync(response, status, "invalid_api_key");
            Assert.Empty(_upstream.Requests);
        }
    }

    [Theory]
    [InlineData(65)]
    [InlineData(200)]
    public async Task Header_Huge_IsRefusedInOurShape(int kibibytes)
    {
        await using var host = await StartAsync();

        using var response = await host.ChatAsync(headers: ("X-Huge", new string('x', kibibytes * 1024)));

        await OpenAIError.AssertAsync(response, HttpStatusCode.RequestHeaderFieldsTooLarge, "headers_too_large");
    }

    [Fact]
    public async Task Header_Large_Passes()
    {
        await using var host = await StartAsync();

        using var response = await host.ChatAsync(headers: ("X-Large", new string('x', 60 * 1024)));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Header_BeyondTheServersOwnLimit_IsRefusedByTheServer()
    {
        await using var host = await StartAsync();

        var answer = await RawHttp.AskAsync(host.Url, $"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Huge: {new string('x', 300 * 1024)}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 431 ", answer, StringComparison.Ordinal);
        using var next = await host.ChatAsync();
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Body_BeyondTheLimit_Is413(bool chunked)
    {
        await using var host = await StartAsync(options => options with { MaxBodyBytes = 1_000 });
        var body = Encoding.UTF8.GetBytes(BalancerHost.ChatJson().Replace("hello", new string('x', 2_000), StringComparison.Ordinal));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.TransferEncodingChunked = chunked;

        using var response = await host.Http.SendAsync(request, Token);

        Assert.Contains("1000", await OpenAIError.AssertAsync(response, HttpStatusCode.RequestEntityTooLarge, "request_too_large"), StringComparison.Ordinal);
        Assert.Empty(_upstream.Requests);
    }

    [Fact]
    public async Task Body_AtTheLimitInChunks_Passes()
    {
        var body = Encoding.UTF8.GetBytes(BalancerHost.ChatJson());
        await using var host = await StartAsync(options => options with { MaxBodyBytes = body.Length });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.TransferEncodingChunked = true;

        using var response = await host.Http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal((body.Length.ToString(CultureInfo.InvariantCulture), null), (_upstream.Requests[0].Header("Content-Length"), _upstream.Requests[0].Header("Transfer-Encoding")));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/chat/completions")]
    [InlineData("/v2/chat/completions")]
    [InlineData("/v1")]
    public async Task Path_Unknown_IsNotFound(string path)
    {
        await using var host = await StartAsync();

        using var response = await host.PostAsync(path, BalancerHost.ChatJson());

        await OpenAIError.AssertAsync(response, HttpStatusCode.NotFound, "unknown_url");
    }

    [Fact]
    public async Task Backends_AllUnreachable_Is503WithRetryAfter()
    {
        await using var other = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([_upstream, other], options => options with { RetryCount = 1 });
        await _upstream.KillAsync();
        await other.KillAsync();

        using var response = await host.ChatAsync();

        await OpenAIError.AssertAsync(response, HttpStatusCode.ServiceUnavailable, "no_healthy_backend");
        Assert.True(response.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        await other.RestartAsync();
    }

    [Fact]
    public async Task Backends_AllFail_LastOnesOwnAnswerComesThrough()
    {
        _upstream.Script = Scripts.Status(500);
        await using var other = ScriptedUpstream.Start(Scripts.ErrorBody(502, "upstream_says", "In its own words."));
        await using var host = await BalancerHost.StartAsync([_upstream, other], options => options with { RetryCount = 1, MaxRetryWait = TimeSpan.Zero });

        using var response = await host.ChatAsync();

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Contains("In its own words.", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Equal("2", response.Headers.GetValues("X-Attempts").Single());
    }

    [Fact]
    public async Task CallerFault_FromABackend_ComesThroughWithoutRetry()
    {
        _upstream.Script = Scripts.ErrorBody(400, "bad_tool", "Your tool is wrong.");
        await using var other = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([_upstream, other]);

        using var response = await host.ChatAsync();

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("Your tool is wrong.", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        Assert.Empty(other.Requests);
    }

    [Theory]
    [InlineData("deflate")]
    [InlineData("gzip")]
    public async Task Body_Compressed_IsRefusedClearly(string coding)
    {
        await using var host = await StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new ByteArrayContent([1, 2, 3]) };
        request.Content.Headers.ContentType = new("application/json");
        request.Content.Headers.ContentEncoding.Add(coding);

        using var response = await host.Http.SendAsync(request, Token);

        await OpenAIError.AssertAsync(response, HttpStatusCode.UnsupportedMediaType, "unsupported_content_encoding");
    }

    private Task<BalancerHost> StartAsync(Func<BalancerOptions, BalancerOptions>? change = null) => BalancerHost.StartAsync([_upstream], change);
}
