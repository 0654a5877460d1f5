using System.Collections.Concurrent;
using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The library's own calls: what comes back, what is thrown, what ends when.</summary>
public class LoadBalancerTests
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
    public async Task StreamAsync_Answer_ComesInPiecesAndEndsWithUsage()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one two three"));
        await using var balancer = Balancers.Over(upstream);

        var deltas = await Balancers.CollectAsync(balancer.StreamAsync(Hello, cancellationToken: Token));

        Assert.Equal(["one", " two", " three", ""], deltas.Select(delta => delta.Content));
        Assert.All(deltas.SkipLast(1), delta => Assert.Null(delta.Result));
        var result = deltas[^1].Result!;
        Assert.Equal((true, "one two three", "stop", "a", 1), (result.Success, result.Content, result.FinishReason, result.Endpoint, result.Attempts));
        Assert.Equal(3, deltas[^1].Usage!.CompletionTokens);
        Assert.Equal(1, balancer.GetStats().TotalSuccess);
    }

    [Fact]
    public async Task StreamAsync_ToolCalls_ComeInPiecesAndWhole()
    {
        string Piece(string call) => $$"""{"choices":[{"index":0,"delta":{"tool_calls":[{{call}}]},"finish_reason":null}]}""";
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen(
            [
                Piece("""{"index":0,"id":"c1","function":{"name":"f","arguments":""}}"""),
                Piece("""{"index":0,"function":{"arguments":"{\"a\":"}}"""),
                Piece("""{"index":1,"id":"c2","function":{"name":"g","arguments":"{}"}}"""),
                Piece("""{"index":0,"function":{"arguments":"1}"}}"""),
                ScriptedChat.Finish("tool_calls"),
            ],
            async connection =>
            {
                await connection.DoneAsync();
                await connection.EndAsync();
            }));
        await using var balancer = Balancers.Over(upstream);

        var deltas = await Balancers.CollectAsync(balancer.StreamAsync(Hello, [new Tool("f"), new Tool("g")], cancellationToken: Token));

        Assert.Equal(4, deltas.Sum(delta => delta.ToolCalls.Count));
        Assert.Equal([new ToolCall("c1", "f", """{"a":1}"""), new ToolCall("c2", "g", "{}")], deltas[^1].Result!.ToolCalls);
        Assert.True(deltas[^1].Result!.Success);
    }

    [Fact]
    public async Task StreamAsync_CutMidway_IsRecoveredUnseen()
    {
        await using var cut = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("one"), ScriptedChat.Content(" two")], connection => connection.ResetAsync()));
        await using var whole = ScriptedUpstream.Start(Scripts.Chat("one two three"));
        await using var balancer = Balancers.Over(cut, whole);

        var deltas = await Balancers.CollectAsync(balancer.StreamAsync(Hello, cancellationToken: Token));

        Assert.Equal("one two three", string.Concat(deltas.Select(delta => delta.Content)));
        Assert.True(deltas[^1].Result!.Success);
    }

    [Fact]
    public async Task StreamAsync_CutForGood_EndsInAFailureThatKeepsWhatCame()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("half")], connection => connection.ResetAsync()));
        await using var balancer = Balancers.Over(new LoadBalancerSettings { EnableHealthCheck = false, StreamRecovery = StreamRecoveryMode.Off }, upstream);

        var deltas = await Balancers.CollectAsync(balancer.StreamAsync(Hello, cancellationToken: Token));

        var result = deltas[^1].Result!;
        Assert.Equal((false, "half"), (result.Success, result.Content));
        Assert.NotNull(result.Error);
        Assert.NotNull(result.ErrorCode);
    }

    [Fact]
    public async Task StreamAsync_EndedEarly_FreesTheUpstream()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], connection => connection.HangAsync()));
        await using var balancer = Balancers.Over(upstream);

        await foreach (var delta in balancer.StreamAsync(Hello, cancellationToken: Token))
        {
            break;
        }

        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
    }

    [Fact]
    public async Task StreamAsync_EnumeratedTwice_AsksTwice()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        var stream = balancer.StreamAsync(Hello, extras: new ChatExtras { SessionId = "s" }, cancellationToken: Token);

        var first = await Balancers.CollectAsync(stream);
        var second = await Balancers.CollectAsync(stream);

        Assert.Equal((true, true), (first[^1].Result!.Success, second[^1].Result!.Success));
        Assert.All(upstream.Requests, seen => Assert.Equal("s", seen.Header("X-Session-Id")));
    }

    [Fact]
    public async Task StreamAsync_CancelledMidway_Throws()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], connection => connection.HangAsync()));
        await using var balancer = Balancers.Over(upstream);
        using var cancel = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var delta in balancer.StreamAsync(Hello, cancellationToken: cancel.Token))
            {
                await cancel.CancelAsync();
            }
        });

        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
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
    public async Task Chat_OnASingleThreadedContext_DoesNotDeadlock()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        using var context = new OneThread();

        var result = await Await.For(context.RunAsync(() =>
        {
            using var balancer = Balancers.Over(upstream);
            var chat = balancer.Chat([new("user", "Hello!")]);
            balancer.GetStats();
            return chat;
        }), "a synchronous call on a thread with a context of its own");

        Assert.True(result.Success);
    }

    [Fact]
    public async Task ChatAsync_AwaitedByABlockedContext_NeedsNothingOfIt()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        using var context = new OneThread();

        var result = await Await.For(context.RunAsync(() => balancer.ChatAsync([new("user", "Hello!")]).GetAwaiter().GetResult()), "an asynchronous call that its thread waits for");

        Assert.True(result.Success);
    }

    [Fact]
    public async Task Chat_FromEveryThreadOfThePool_DoesNotStarve()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);

        var results = await Await.For(Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => balancer.Chat(Hello)))), "all synchronous calls", TimeSpan.FromSeconds(30));

        Assert.All(results, result => Assert.True(result.Success));
    }

    [Fact]
    public async Task ChatAsync_Cancelled_ThrowsAndFreesTheUpstream()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var balancer = Balancers.Over(upstream);
        using var cancel = new CancellationTokenSource();
        var asking = balancer.ChatAsync(Hello, cancellationToken: cancel.Token);
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
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

    [Fact]
    public async Task Dispose_CallsUnderWay_EndsThemAndFreesTheUpstreams()
    {
        await using var upstream = ScriptedUpstream.Start((request, connection, cancellationToken) =>
            (request.WantsStream ? Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], stream => stream.HangAsync()) : Scripts.Hang)(request, connection, cancellationToken));
        var balancer = Balancers.Over(upstream);
        var asking = balancer.ChatAsync(Hello, cancellationToken: Token);
        await using var reading = balancer.StreamAsync(Hello, cancellationToken: Token).GetAsyncEnumerator(Token);
        await reading.MoveNextAsync();
        var next = reading.MoveNextAsync().AsTask();
        await Await.Until(() => upstream.Requests.Count == 2, "both requests have arrived");

        await Await.For(balancer.DisposeAsync().AsTask(), "the balancer's end");

        await Assert.ThrowsAsync<ObjectDisposedException>(() => asking);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => next);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => balancer.ChatAsync(Hello, cancellationToken: Token));
        Assert.Throws<ObjectDisposedException>(() => balancer.CreateHandler());
        Assert.Throws<ObjectDisposedException>(() => balancer.GetStats());
        await Await.Until(() => upstream.Requests.All(request => request.LeftEarly), "the upstream has seen both connections closed");
        balancer.Dispose();
    }

    [Fact]
    public async Task Dispose_NeverCalled_Ends()
    {
        var balancer = new LoadBalancer([new Endpoint("http://127.0.0.1:1")]);

        await Await.For(Task.Run(balancer.Dispose, Token), "the balancer's end");
    }

    /// <summary>A thread with a synchronization context that runs everything on it, as user interfaces have.</summary>
    private sealed class OneThread : SynchronizationContext, IDisposable
    {
        private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _work = [];

        public OneThread() => new Thread(() =>
        {
            SetSynchronizationContext(this);
            foreach (var (callback, state) in _work.GetConsumingEnumerable())
            {
                callback(state);
            }
        })
        { IsBackground = true }.Start();

        public override void Post(SendOrPostCallback d, object? state) => _work.Add((d, state));

        public Task<T> RunAsync<T>(Func<T> work)
        {
            var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
            Post(_ =>
            {
                try
                {
                    done.SetResult(work());
                }
                catch (Exception exception)
                {
                    done.SetException(exception);
                }
            }, null);
            return done.Task;
        }

        public void Dispose() => _work.CompleteAdding();
    }
}
