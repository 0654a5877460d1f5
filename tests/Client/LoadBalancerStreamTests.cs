using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Streamed answers: their pieces, their end, and what an early end frees.</summary>
public class LoadBalancerStreamTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Message[] Hello => [new("user", "Hello!")];

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
}
