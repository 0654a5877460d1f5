using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>What no proper client sends stays harmless: it neither leaves the backend's base URL nor counts against a backend.</summary>
public sealed class HostileRequestTests : IAsyncLifetime
{
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Theory]
    [InlineData("/v1/../admin")]
    [InlineData("/v1/%2e%2e/admin")]
    [InlineData("/v1/%252e%252e/admin")]
    [InlineData("/v1/%252e%252e/%252E./admin")]
    [InlineData("/v1/%2e%2e%252fadmin")]
    [InlineData("/v1/x/..%2f..%2f..%2fadmin")]
    [InlineData("/v1/..\\..\\admin")]
    [InlineData("/v1/..%5c..%5cadmin")]
    [InlineData("/v1//elsewhere.test/admin")]
    [InlineData("/v1/@elsewhere.test/admin")]
    [InlineData("/v1/%zz")]
    [InlineData("/v1/a%00b")]
    [InlineData("/v1/a%0d%0aX-Evil:%201")]
    [InlineData("/v1/%ff%fe")]
    [InlineData("/v1/x?q=%zz&#fragment")]
    [InlineData("/v1/x?a=b c")]
    [InlineData("http://elsewhere.test/v1/x")]
    public async Task Target_Odd_StaysBelowTheBaseUrlAndBlamesNobody(string target)
    {
        await using var host = await BalancerHost.StartAsync([_upstream], shape: (_, backend) => backend with { BaseUrl = new Uri($"http://127.0.0.1:{_upstream.Port}/openai/v1") });

        var answer = await RawHttp.AskAsync(host.Url, $"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        Assert.DoesNotMatch("^HTTP/1.1 50[0-9]", answer);
        Assert.All(_upstream.Requests, request => Assert.True(
            request.Path.StartsWith("/openai/v1/", StringComparison.Ordinal) && !Uri.UnescapeDataString(request.Path).Contains("..", StringComparison.Ordinal), request.Target));
        Assert.All(_upstream.Requests, request => Assert.Null(request.Header("X-Evil")));
        Assert.Equal(0, (await host.SettledAsync()).For("a").Vitals.ConsecutiveFailures);
    }

    [Theory]
    [InlineData("X-Odd: a\tb")]
    [InlineData("X-Odd: \u0001")]
    [InlineData("X-Odd: \u007f")]
    [InlineData("X-Odd:")]
    [InlineData("X-Odd: a\r\n folded")]
    [InlineData("Content-Type: nonsense;;;=")]
    [InlineData("Content-Language: \u00ff")]
    [InlineData("Accept: @@@")]
    [InlineData("User-Agent: (((")]
    [InlineData("If-Modified-Since: never")]
    [InlineData("Expires: never\r\nExpires: never")]
    [InlineData("Expect: 100-continue")]
    [InlineData("Host: other.test")]
    [InlineData("Range: bytes=x-y")]
    [InlineData("Date: tomorrow")]
    [InlineData("Via: ,,,")]
    public async Task Header_Odd_PassesOrIsRefusedAndBlamesNobody(string header)
    {
        await using var host = await BalancerHost.StartAsync([_upstream]);
        var body = BalancerHost.ChatJson();
        var first = header.StartsWith("Host", StringComparison.Ordinal) ? "" : "Host: x\r\n";

        var answer = await RawHttp.AskAsync(host.Url, $"POST /v1/chat/completions HTTP/1.1\r\n{first}Connection: close\r\n{header}\r\nContent-Length: {body.Length}\r\n\r\n{body}");

        Assert.Matches("^HTTP/1.1 (100 Continue\r\n\r\nHTTP/1.1 )?(200|400) ", answer);
        Assert.Equal(0, (await host.SettledAsync()).For("a").Vitals.ConsecutiveFailures);
    }

    [Theory]
    [InlineData("X-Odd: a\u0001b")]
    [InlineData("X-Odd: a\u007fb")]
    [InlineData("Content-Type: ;;;")]
    [InlineData("Retry-After: soon")]
    [InlineData("Bad Name: x")]
    [InlineData("Date: tomorrow")]
    public async Task AnswerHeader_Odd_DoesNotCostTheAnswer(string header)
    {
        var body = ScriptedChat.Body("ok");
        _upstream.Script = (_, connection, _) => connection.RawAsync(System.Text.Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        await using var other = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([_upstream, other]);

        using var response = await host.ChatAsync();

        Assert.Equal(System.Net.HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("\"content\":\"ok\"", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ErrorHeader_Odd_DoesNotCostTheError()
    {
        var body = ScriptedChat.Error("bad_tool", "Your tool is wrong.");
        _upstream.Script = (_, connection, _) => connection.RawAsync(System.Text.Encoding.Latin1.GetBytes(
            $"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nX-Odd: a\u0001b\r\nX-Good: kept\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        await using var host = await BalancerHost.StartAsync([_upstream]);

        using var response = await host.ChatAsync();

        Assert.Equal((System.Net.HttpStatusCode.BadRequest, "kept"), (response.StatusCode, response.Headers.GetValues("X-Good").Single()));
        Assert.Equal(body, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
