using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Whole answers and embeddings: what is sent, what comes back, what is thrown.</summary>
public class LoadBalancerChatTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Message[] Hello => [new("user", "Hello!")];

    [Fact]
    public async Task ChatAsync_Answer_TellsEverythingAboutIt()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi there"));
        await using var balancer = Balancers.Over(upstream);

        var result = await balancer.ChatAsync(Hello, temperature: 0.5, maxTokens: 9, model: "m", cancellationToken: Token);

        Assert.True(result.Success);
        Assert.Equal(("hi there", "stop", "scripted-model"), (result.Content, result.FinishReason, result.Model));
        Assert.Equal(("a", 1, 200), (result.Endpoint, result.Attempts, result.StatusCode));
        Assert.Equal(new TokenUsage(ScriptedChat.PromptTokens, 2, ScriptedChat.PromptTokens + 2), result.Usage);
        Assert.True(result.ResponseTime > TimeSpan.Zero);
        Assert.Null(result.Error);
        var sent = JsonDocument.Parse(upstream.Requests[0].Text).RootElement;
        Assert.Equal("""{"model":"m","messages":[{"role":"user","content":"Hello!"}],"temperature":0.5,"max_tokens":9}""", sent.GetRawText());
    }

    [Fact]
    public async Task ChatAsync_FirstEndpointFails_TheSecondAnswers()
    {
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(bad, good);

        var result = await balancer.ChatAsync(Hello, cancellationToken: Token);

        Assert.Equal((true, "b", 2), (result.Success, result.Endpoint, result.Attempts));
    }

    [Fact]
    public async Task ChatAsync_EndpointsWithDefaults_AppliesEachEndpointsOwn()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = new LoadBalancer(
            [new(upstream.BaseUrl.AbsoluteUri) { MaxTokens = 8192, Temperature = 0.7, ModelName = "own", ApiKey = "k", Headers = new Dictionary<string, string> { ["X-Own"] = "1" } }],
            enableHealthCheck: false);

        await balancer.ChatAsync(Hello, cancellationToken: Token);

        var seen = upstream.Requests[0];
        Assert.Equal((8192, 0.7, "own"), (seen.Property("max_tokens")!.Value.GetInt32(), seen.Property("temperature")!.Value.GetDouble(), seen.Property("model")!.Value.GetString()));
        Assert.Equal(("Bearer k", "1"), (seen.Header("Authorization"), seen.Header("X-Own")));
    }

    [Fact]
    public async Task ChatAsync_ToolsAndTheirAnswers_AreSentAndReadAsTheApiHasThem()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, """
            {"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,
            "tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]}}]}
            """));
        await using var balancer = Balancers.Over(upstream);
        var tool = new Tool("weather", "The weather.", """{"type":"object"}""");

        var result = await balancer.ChatAsync(Hello, [tool], cancellationToken: Token);
        await balancer.ChatAsync(
            [.. Hello, new("assistant") { ToolCalls = result.ToolCalls }, new("tool", "Sunny") { ToolCallId = "call_1" }], [tool], cancellationToken: Token);

        Assert.True(result.Success);
        Assert.Null(result.Content);
        Assert.Null(result.Usage);
        Assert.Equal([new ToolCall("call_1", "weather", """{"city":"Bern"}""")], result.ToolCalls);
        Assert.Equal(
            """[{"role":"user","content":"Hello!"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}}]},{"role":"tool","content":"Sunny","tool_call_id":"call_1"}]""",
            upstream.Requests[1].Property("messages")!.Value.GetRawText());
        Assert.Equal(
            """[{"type":"function","function":{"name":"weather","description":"The weather.","parameters":{"type":"object"}}}]""",
            upstream.Requests[1].Property("tools")!.Value.GetRawText());
    }

    [Fact]
    public async Task ChatAsync_Extras_GoIntoBodyAndHeaders()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = new LoadBalancer([new(upstream.BaseUrl.AbsoluteUri) { Tags = ["fast", "eu"] }], enableHealthCheck: false);
        var extras = new ChatExtras
        {
            SessionId = "s1",
            Tags = ["fast"],
            Fields = new Dictionary<string, object?> { ["top_p"] = 0.9, ["max_tokens"] = null, ["stop"] = new[] { "x" } },
        };

        var result = await balancer.ChatAsync(Hello, maxTokens: 5, extras: extras, cancellationToken: Token);

        Assert.True(result.Success);
        Assert.Equal("""{"messages":[{"role":"user","content":"Hello!"}],"top_p":0.9,"stop":["x"]}""", upstream.Requests[0].Text);
        Assert.Equal("s1", upstream.Requests[0].Header("X-Session-Id"));
    }

    [Theory]
    [InlineData("""{"choices":[]}""")]
    [InlineData("""{"choices":[{"message":7}]}""")]
    [InlineData("""{"choices":{}}""")]
    [InlineData("""[1]""")]
    public async Task ChatAsync_AnswerOfAnotherShape_IsAFailureNotAnException(string body)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, body));
        await using var balancer = Balancers.Over(upstream);

        var chat = await balancer.ChatAsync(Hello, cancellationToken: Token);
        var embed = await balancer.EmbedAsync("text", cancellationToken: Token);

        Assert.Equal((body.Contains('7', StringComparison.Ordinal), false), (chat.Success, embed.Success));
        Assert.Equal(chat.Success, chat.Error is null);
        Assert.NotNull(embed.Error);
    }

    [Fact]
    public async Task ChatAsync_UpstreamsError_IsInTheResult()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.ErrorBody(400, "bad_thing", "No such thing."));
        await using var balancer = Balancers.Over(upstream);

        var result = await balancer.ChatAsync(Hello, cancellationToken: Token);

        Assert.Equal((false, "No such thing.", "bad_thing", 400, "a"), (result.Success, result.Error, result.ErrorCode, result.StatusCode, result.Endpoint));
    }

    [Fact]
    public async Task ChatAsync_EveryEndpointDead_IsAFailureWithEveryAttemptCounted()
    {
        await using var one = await Balancers.DeadAsync();
        await using var two = await Balancers.DeadAsync();
        await using var balancer = Balancers.Over(new LoadBalancerSettings { EnableHealthCheck = false, RetryCount = 1 }, one, two);

        var result = await balancer.ChatAsync(Hello, cancellationToken: Token);
        var last = Assert.Single(await Balancers.CollectAsync(balancer.StreamAsync(Hello, cancellationToken: Token))).Result!;

        Assert.Equal((false, "no_healthy_backend", 503), (result.Success, result.ErrorCode, result.StatusCode));
        Assert.True(result.Attempts >= 2);
        Assert.False(last.Success);
    }

    [Fact]
    public async Task EmbedAsync_Answer_GivesVectorsInTheInputsOrder()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, """
            {"model":"e","data":[{"index":1,"embedding":[3,4.5]},{"index":0,"embedding":"AACAPwAAAEA="}],
            "usage":{"prompt_tokens":4,"total_tokens":4}}
            """));
        await using var balancer = Balancers.Over(upstream);

        var result = await balancer.EmbedAsync(["a", "b"], model: "e", dimensions: 2, cancellationToken: Token);

        Assert.True(result.Success);
        Assert.Equal([1f, 2f], result.Embeddings[0].ToArray());
        Assert.Equal([3f, 4.5f], result.Embeddings[1].ToArray());
        Assert.Equal(new TokenUsage(4, 0, 4), result.Usage);
        Assert.Equal("""{"model":"e","input":["a","b"],"dimensions":2}""", upstream.Requests[0].Text);
    }

    [Fact]
    public async Task EmbedAsync_FewerVectorsThanInputs_IsAFailure()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, """{"data":[{"index":0,"embedding":[1]}]}"""));
        await using var balancer = Balancers.Over(upstream);

        var result = await balancer.EmbedAsync(["a", "b"], cancellationToken: Token);

        Assert.Equal((false, 0), (result.Success, result.Embeddings.Count));
    }

    [Fact]
    public async Task ChatAsync_BadArguments_Throw()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);

        await Assert.ThrowsAsync<ArgumentNullException>(() => balancer.ChatAsync(null!, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentException>(() => balancer.ChatAsync([], cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentException>(() => balancer.ChatAsync([null!], cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => balancer.ChatAsync(Hello, temperature: 2.1, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => balancer.ChatAsync(Hello, temperature: double.NaN, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => balancer.ChatAsync(Hello, maxTokens: 0, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentException>(() => balancer.ChatAsync(Hello, extras: new ChatExtras { SessionId = "a\nb" }, cancellationToken: Token));
        await Assert.ThrowsAsync<ArgumentException>(() => balancer.EmbedAsync(Array.Empty<string>(), cancellationToken: Token));
        Assert.Throws<ArgumentException>(() => balancer.StreamAsync([], cancellationToken: Token));
        Assert.Throws<ArgumentException>(() => balancer.Chat([], cancellationToken: Token));
        Assert.Throws<ArgumentException>(() => new Tool("f", parameters: "[1]"));
        Assert.Throws<ArgumentException>(() => new Message(" "));
        Assert.Empty(upstream.Requests);
    }
}
