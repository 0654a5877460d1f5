using Roadbalancer.Proxy;
using Roadbalancer.Strategies;
using static Roadbalancer.Tests.Proxy.StreamSample;

namespace Roadbalancer.Tests.Proxy;

public sealed class StreamFilterTests
{
    [Fact]
    public void Pass_GoodStreamInAnyReads_IsByteForByte()
    {
        for (var seed = 1UL; seed <= 200; seed++)
        {
            var chance = new Chance(seed);
            var events = Answer([new(Text(chance, chance.Next(30))), new("f", "name"), new(Text(chance, 10), "arguments")], "one", chance);
            var stream = string.Concat(events).Replace("\n\n", chance.Next(2) == 0 ? "\n\n" : "\r\n\r\n", StringComparison.Ordinal);
            using var client = new ClientStream(ApiShape.Chat, 1);
            using var filter = new StreamFilter(client, JoinMode.None);
            var got = Drive(filter, [stream], chance);
            Assert.True(got == stream, $"seed {seed}");
            Assert.True(filter is { IsComplete: true, IsDone: true, Malformed: 0, HasError: false, HasMismatch: false }, $"seed {seed}");
        }
    }

    [Fact]
    public void Pass_MalformedEvents_AreDroppedAndCounted()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        var got = Drive(filter, [Role(), "data: {\"choices\":[{\n\n", Say("a"), "data: nonsense\n\n", "data:\n\n", Say("b"), Finish(), Done]);
        Assert.Equal(Role() + Say("a") + Say("b") + Finish() + Done, got);
        Assert.Equal(3, filter.Malformed);
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void Pass_MalformedEventOfAnUnknownApi_PassesAndBegins()
    {
        using var client = new ClientStream(ApiShape.Other, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal("data: tick\n\n", Drive(filter, ["data: tick\n\n"]));
        Assert.True(filter is { HasBegun: true, IsComplete: true, Malformed: 0 });
    }

    [Fact]
    public void End_CompleteWithoutDone_SuppliesIt()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal(Say("a") + Finish() + Done, Drive(filter, [Say("a"), Finish()]));
        Assert.True(filter.IsDone);
    }

    [Fact]
    public void End_LastEventWithoutBlankLine_StillCounts()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        var got = ReferenceClient.Read(Drive(filter, [Say("a"), Finish().TrimEnd('\n')]));
        Assert.Equal(("a", 1), (got.Content, got.Dones));
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void End_CutInsideAnEvent_IsNotComplete()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal(Say("a"), Drive(filter, [Say("a"), Finish()[..40]]));
        Assert.False(filter.IsComplete);
        Assert.False(filter.IsDone);
    }

    [Fact]
    public void Pass_DoneBeforeAFinishReason_IsNotPassedOn()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal(Say("a"), Drive(filter, [Say("a"), Done]));
        Assert.True(filter is { IsDone: true, IsComplete: false });
    }

    [Fact]
    public void Pass_AfterDone_NothingIsRead()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal(Say("a") + Finish() + Done, Drive(filter, [Say("a"), Finish(), Done, Say("b"), Done], ends: false));
    }

    [Fact]
    public void Pass_ErrorEvent_StopsAndIsKept()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Equal(Say("a"), Drive(filter, [Say("a"), Event("""{"error":{"code":503}}"""), Say("b"), Finish(), Done]));
        Assert.True(filter is { HasError: true, IsDone: false });
        Assert.Equal("""{"error":{"code":503}}""", System.Text.Encoding.UTF8.GetString(filter.ErrorJson));
    }

    [Fact]
    public void IsComplete_TwoChoices_NeedsBothFinishReasons()
    {
        using var client = new ClientStream(ApiShape.Chat, 2);
        using var filter = new StreamFilter(client, JoinMode.None);
        Drive(filter, [Say(new StreamPiece("a")), Say(new StreamPiece("b", Choice: 1)), Finish(), Finish()], ends: false);
        Assert.False(filter.IsComplete);
        Drive(filter, [Finish(choice: 1)], ends: false);
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void IsComplete_TwoPromptsOfACompletion_NeedsBothFinishReasons()
    {
        var facts = new RequestFacts { Prompts = 2 };
        using var exchange = new Exchange(new Microsoft.AspNetCore.Http.DefaultHttpContext(), Support.Pools.Of(Support.Pools.Backend("a")), TimeProvider.System)
        {
            Path = "completions",
            Facts = facts,
            Shape = ApiShape.Completion,
            RequestId = "r",
        };
        using var filter = new StreamFilter(exchange.Stream, JoinMode.None);
        Drive(filter, [Event("""{"choices":[{"text":"a","index":0,"finish_reason":"stop"}]}""")], ends: false);
        Assert.False(filter.IsComplete);
        Drive(filter, [Event("""{"choices":[{"text":"b","index":1,"finish_reason":"stop"}]}""")], ends: false);
        Assert.True(filter.IsComplete);
    }

    [Fact]
    public void Pass_Usage_IsNoted()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Drive(filter, [Say("a"), Finish(), Event("""{"id":"one","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}"""), Done]);
        Assert.Equal((5, 1), (filter.InputTokens, filter.OutputTokens));
    }

    [Theory]
    [InlineData("response.completed", true, false)]
    [InlineData("response.incomplete", true, false)]
    [InlineData("response.failed", true, false)]
    [InlineData("response.output_text.done", false, false)]
    public void IsComplete_Responses_NeedsATerminalEvent(string type, bool complete, bool error)
    {
        using var client = new ClientStream(ApiShape.Responses, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        var events = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n"
            + $"event: {type}\ndata: {{\"type\":\"{type}\",\"response\":{{}}}}\n\n";
        Assert.Equal(events, Drive(filter, [events]));
        Assert.Equal((complete, error), (filter.IsComplete, filter.HasError));
    }

    [Fact]
    public void Pass_ResponsesFailedAtOnce_IsAnError()
    {
        using var client = new ClientStream(ApiShape.Responses, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Assert.Empty(Drive(filter, [Event("""{"type":"response.failed","response":{"error":{"code":"server_error"}}}""")]));
        Assert.True(filter.HasError);
    }

    [Fact]
    public void Pass_NotCommitted_LeavesTheClientUntouched()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        filter.Pass(System.Text.Encoding.UTF8.GetBytes(Role() + Say("abc") + Finish() + Done), new System.Buffers.ArrayBufferWriter<byte>());
        Assert.True(filter is { HasBegun: true, IsComplete: true });
        Assert.Equal((false, false, 0, 0, 0), (client.Started, client.IsOpaque, client.FinishedChoices, client.Log.Length, client.Id.Length));
        filter.Commit();
        Assert.Equal((true, 1), (client.Started, client.FinishedChoices));
        Assert.Equal("abc", System.Text.Encoding.UTF8.GetString(client.Log.TextOf(DeltaField.Content)));
    }

    [Fact]
    public void Commit_FirstEventWithoutIdentity_TakesTheFirstThatHasOne()
    {
        using var client = new ClientStream(ApiShape.Chat, 1);
        using var filter = new StreamFilter(client, JoinMode.None);
        Drive(filter, [Event("""{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[]}"""), Say("a", "two"), Say("b", "one")]);
        Assert.Equal("\"two\"", System.Text.Encoding.UTF8.GetString(client.Id));
        Assert.Equal("2222", System.Text.Encoding.UTF8.GetString(client.Created));
        Assert.Equal("\"model-two\"", System.Text.Encoding.UTF8.GetString(client.Model));
    }
}
