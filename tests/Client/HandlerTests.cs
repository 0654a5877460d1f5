using System.Net;
using System.Text;
using Roadbalancer.Client;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The handler as code over HttpClient sees it.</summary>
public class HandlerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("https://api.openai.com/v1/chat/completions", "/v1/chat/completions", "")]
    [InlineData("http://host/chat/completions?a=b", "/v1/chat/completions", "?a=b")]
    [InlineData("http://host/openai/v1/models/a%2Fb", "/v1/models/a%2Fb", "")]
    [InlineData("http://host/openai/deployments/d/chat/completions?api-version=1", "/v1/chat/completions", "?api-version=1")]
    [InlineData("http://host/V1/embeddings", "/v1/embeddings", "")]
    [InlineData("http://host/something/else", "/v1/something/else", "")]
    [InlineData("http://host/", "/v1/", "")]
    public void Map_Address_FindsTheApisPath(string address, string path, string query) =>
        Assert.Equal((path, query), RequestPath.Map(new Uri(address)));

    [Fact]
    public void Map_RelativeAddress_FindsTheApisPath() =>
        Assert.Equal(("/v1/models", "?x=1"), RequestPath.Map(new Uri("v1/models?x=1", UriKind.Relative)));

    [Fact]
    public async Task Send_Chat_PassesBytesAndHeadersBothWays()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi there"));
        await using var balancer = Balancers.Over(upstream);
        using var http = new HttpClient(balancer.CreateHandler()) { BaseAddress = new Uri("http://x/v1/") };
        using var request = new HttpRequestMessage(HttpMethod.Post, "chat/completions?p=q") { Content = Json("""{"model": "m",  "messages":[]}""") };
        request.Headers.TryAddWithoutValidation("X-Mine", "one");

        using var response = await http.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(ScriptedChat.Body("hi there"), await response.Content.ReadAsStringAsync(Token));
        Assert.Equal("a", response.Headers.GetValues("X-Backend").Single());
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Same(request, response.RequestMessage);
        var seen = Assert.Single(upstream.Requests);
        Assert.Equal("""{"model": "m",  "messages":[]}""", seen.Text);
        Assert.Equal("/v1/chat/completions?p=q", seen.Target);
        Assert.Equal("one", seen.Header("X-Mine"));
    }

    [Theory]
    [InlineData("a\nb")]
    [InlineData("語")]
    public async Task Send_HeaderThatCannotBeSent_ThrowsAndBlamesNobody(string value)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        using var http = new HttpMessageInvoker(balancer.CreateHandler());
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://x/v1/things");
        request.Headers.TryAddWithoutValidation("X-Mine", value);

        await Assert.ThrowsAsync<HttpRequestException>(() => http.SendAsync(request, Token));

        Assert.Equal(0, balancer.GetStats().TotalRequests);
    }

    [Fact]
    public async Task Send_SameContentTwice_SendsItWholeBothTimes()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        using var invoker = new HttpMessageInvoker(balancer.CreateHandler());
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://x/v1/chat/completions") { Content = Json("""{"messages":[]}""") };

        using var first = await invoker.SendAsync(request, Token);
        using var second = await invoker.SendAsync(request, Token);

        Assert.Equal(2, upstream.Requests.Count);
        Assert.All(upstream.Requests, seen => Assert.Equal("""{"messages":[]}""", seen.Text));
    }

    [Fact]
    public async Task Send_LargeBodies_PassWhole()
    {
        var text = new string('x', 5 * 1024 * 1024);
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat(text));
        await using var balancer = Balancers.Over(upstream);
        using var http = new HttpClient(balancer.CreateHandler());

        using var response = await http.PostAsync("http://x/v1/chat/completions", Json($$"""{"messages":[{"role":"user","content":"{{text}}"}]}"""), Token);

        Assert.Equal(ScriptedChat.Body(text), await response.Content.ReadAsStringAsync(Token));
        Assert.True(upstream.Requests[0].Body.Length > text.Length);
    }

    [Fact]
    public async Task Send_Stream_ComesWhileTheUpstreamWrites()
    {
        var gate = new TaskCompletionSource();
        await using var upstream = ScriptedUpstream.Start(async (_, connection, cancellationToken) =>
        {
            await connection.BeginStreamAsync();
            await connection.EventAsync(ScriptedChat.Content("first"));
            await gate.Task.WaitAsync(cancellationToken);
            await connection.EventAsync(ScriptedChat.Finish());
            await connection.DoneAsync();
            await connection.EndAsync();
        });
        await using var balancer = Balancers.Over(upstream);
        using var response = await StreamAsync(balancer);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));

        Assert.Equal("data: " + ScriptedChat.Content("first"), await reader.ReadLineAsync(Token));

        gate.SetResult();
        Assert.EndsWith("data: [DONE]\n\n", await reader.ReadToEndAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Send_TruncatedStream_ThrowsForItsReaderAfterTheErrorEvent()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("half")], connection => connection.ResetAsync()));
        await using var balancer = Balancers.Over(new LoadBalancerSettings { EnableHealthCheck = false, StreamRecovery = StreamRecoveryMode.Off }, upstream);
        using var response = await StreamAsync(balancer);
        await using var body = await response.Content.ReadAsStreamAsync(Token);
        var got = new MemoryStream();

        await Assert.ThrowsAsync<HttpIOException>(() => body.CopyToAsync(got, Token));

        var text = Encoding.UTF8.GetString(got.ToArray());
        Assert.Contains("half", text, StringComparison.Ordinal);
        Assert.Contains("\"error\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Send_TruncatedStreamReadSynchronously_ThrowsForItsReader()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("half")], connection => connection.ResetAsync()));
        await using var balancer = Balancers.Over(new LoadBalancerSettings { EnableHealthCheck = false, StreamRecovery = StreamRecoveryMode.Off }, upstream);
        using var response = await StreamAsync(balancer);

        await Task.Run(() =>
        {
            using var reader = new StreamReader(response.Content.ReadAsStream(Token));
            Assert.Throws<HttpIOException>(() => reader.ReadToEnd());
        }, Token);
    }

    [Fact]
    public async Task Send_ResponseDisposedMidway_FreesTheUpstream()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], connection => connection.HangAsync()));
        await using var balancer = Balancers.Over(upstream);
        var response = await StreamAsync(balancer);

        response.Dispose();

        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
        await Await.Until(() => balancer.GetStats().Endpoints[0].ActiveConnections == 0, "the place is free");
        Assert.Equal(0, balancer.GetStats().TotalFailures);
    }

    [Fact]
    public async Task Send_ResponseDisposedWhileItIsRead_EndsTheRead()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], connection => connection.HangAsync()));
        await using var balancer = Balancers.Over(upstream);
        var response = await StreamAsync(balancer);
        var reading = response.Content.ReadAsByteArrayAsync(Token);

        response.Dispose();

        await Await.For(Assert.ThrowsAnyAsync<Exception>(() => reading), "the read to end");
        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
    }

    [Fact]
    public async Task Send_CancelledBeforeTheAnswer_ThrowsAndFreesTheUpstream()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var balancer = Balancers.Over(upstream);
        using var http = new HttpClient(balancer.CreateHandler());
        using var cancel = new CancellationTokenSource();
        var sending = http.PostAsync("http://x/v1/chat/completions", Json("""{"messages":[]}"""), cancel.Token);
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await cancel.CancelAsync();

        var thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal(cancel.Token, thrown.CancellationToken);
        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
    }

    [Fact]
    public async Task Send_HttpClientTimeout_IsHttpClientsOwnException()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var balancer = Balancers.Over(upstream);
        using var http = new HttpClient(balancer.CreateHandler()) { Timeout = TimeSpan.FromMilliseconds(100) };

        var thrown = await Assert.ThrowsAsync<TaskCanceledException>(() => http.PostAsync("http://x/v1/chat/completions", Json("""{"messages":[]}"""), Token));

        Assert.IsType<TimeoutException>(thrown.InnerException);
    }

    [Fact]
    public async Task Send_ManyAtOnce_EachGetsItsOwnAnswer()
    {
        UpstreamScript echo = (request, connection, _) =>
            connection.RespondAsync(200, ScriptedChat.Body(request.Property("user")!.Value.GetString()!));
        await using var one = ScriptedUpstream.Start(echo);
        await using var two = ScriptedUpstream.Start(echo);
        await using var balancer = Balancers.Over(one, two);
        using var http = new HttpClient(balancer.CreateHandler());

        var answers = await Task.WhenAll(Enumerable.Range(0, 150).Select(async number =>
        {
            using var response = await http.PostAsync("http://x/v1/chat/completions", Json($$"""{"user":"u{{number}}","messages":[]}"""), Token);
            return await response.Content.ReadAsStringAsync(Token);
        }));

        for (var number = 0; number < answers.Length; number++)
        {
            Assert.Equal(ScriptedChat.Body($"u{number}"), answers[number]);
        }

        Assert.Equal(150, balancer.GetStats().TotalSuccess);
    }

    [Fact]
    public async Task Send_HandlerDisposed_LeavesTheBalancerAlone()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        new HttpClient(balancer.CreateHandler()).Dispose();

        var result = await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);

        Assert.True(result.Success);
    }

    [Fact]
    public async Task Send_NoBackendReachable_IsTheServersAnswer()
    {
        await using var dead = await Balancers.DeadAsync();
        await using var balancer = Balancers.Over(dead);
        using var http = new HttpClient(balancer.CreateHandler());

        using var response = await http.PostAsync("http://x/v1/chat/completions", Json("""{"messages":[]}"""), Token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Contains("no_healthy_backend", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<HttpResponseMessage> StreamAsync(LoadBalancer balancer)
    {
        using var http = new HttpClient(balancer.CreateHandler());
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://x/v1/chat/completions") { Content = Json(BalancerHost.ChatJson(stream: true)) };
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
    }
}
