using System.Text;
using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Streams of every kind that break midway: joined where it can be done exactly, else an error event; never a guess.</summary>
public sealed class JoinFaultsTests
{
    [Fact]
    public async Task Chat_ToolCallBreaksInItsArguments_JoinedExactly()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Chat("a", Streams.Call("call_a", "weather", "")), Chat("a", Streams.Call(null, null, "{\"city\": \"Z"))),
            Streams.WholeOf(
                Chat("b", Streams.Call("call_b", "weather", "")),
                Chat("b", Streams.Call(null, null, "{\"city\":")),
                Chat("b", Streams.Call(null, null, " \"Zurich\"")),
                Chat("b", Streams.Call(null, null, "}")),
                Chat("b", Streams.Delta(new { }, finish: "tool_calls"))));

        var heard = await stage.AskAsync(stream: true);

        var calls = heard.Deltas().Where(delta => delta.TryGetProperty("tool_calls", out _)).SelectMany(delta => delta.GetProperty("tool_calls").EnumerateArray()).ToArray();
        Assert.Equal("""{"city": "Zurich"}""", string.Concat(calls.Select(call => call.GetProperty("function").GetProperty("arguments").GetString())));
        Assert.Equal("call_a", Assert.Single(calls, call => call.TryGetProperty("id", out _)).GetProperty("id").GetString());
        Assert.Equal("tool_calls", Assert.Single(heard.FinishReasons));
        Assert.Equal((false, 1), (heard.BrokeOff, heard.Dones));
    }

    [Fact]
    public async Task Chat_ToolCallIsAnotherInTheReplay_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Chat("a", Streams.Call("call_a", "weather", "{\"city\":"))),
            Streams.WholeOf(Chat("b", Streams.Call("call_b", "time", "{\"city\":\"Z\"}")), Chat("b", Streams.Delta(new { }, finish: "tool_calls"))));

        (await stage.AskAsync(stream: true)).IsBrokenStream("replay_mismatch");
    }

    [Fact]
    public async Task Chat_SecondToolCallBegins_JoinedUnderItsIndex()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Chat("a", Streams.Call("call_a", "weather", "{}"))),
            Streams.WholeOf(
                Chat("b", Streams.Call("call_b", "weather", "{}")),
                Chat("b", Streams.Call("call_c", "time", "{\"zone\":1}", index: 1)),
                Chat("b", Streams.Delta(new { }, finish: "tool_calls"))));

        var heard = await stage.AskAsync(stream: true);

        var calls = heard.Deltas().Where(delta => delta.TryGetProperty("tool_calls", out _)).SelectMany(delta => delta.GetProperty("tool_calls").EnumerateArray());
        Assert.Equal(
            [("call_a", 0, "{}"), ("call_c", 1, "{\"zone\":1}")],
            calls.Select(call => (call.GetProperty("id").GetString(), call.GetProperty("index").GetInt32(), call.GetProperty("function").GetProperty("arguments").GetString())));
        Assert.Equal((false, 1), (heard.BrokeOff, heard.Dones));
    }

    [Fact]
    public async Task Chat_TwoChoicesInTheSameOrder_BothJoined()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Text("a", 0, "Yes"), Text("a", 1, "No"), Text("a", 0, " it")),
            Streams.WholeOf(Text("b", 0, "Yes"), Text("b", 1, "No"), Text("b", 0, " it is"), Text("b", 1, " it is not"), Finish("b", 0), Finish("b", 1)));

        var heard = await stage.PostAsync("/v1/chat/completions", new { model = "m", stream = true, n = 2, messages = Messages });

        Assert.Equal(("Yes it is", "No it is not"), (heard.Content(0), heard.Content(1)));
        Assert.Equal(2, heard.FinishReasons.Count);
        Assert.Equal((false, 1), (heard.BrokeOff, heard.Dones));
    }

    [Fact]
    public async Task Chat_TwoChoicesInAnotherOrder_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Text("a", 0, "Yes"), Text("a", 1, "No")),
            Streams.WholeOf(Text("b", 1, "No"), Text("b", 0, "Yes"), Finish("b", 0), Finish("b", 1)));

        (await stage.PostAsync("/v1/chat/completions", new { model = "m", stream = true, n = 2, messages = Messages })).IsBrokenStream("replay_mismatch");
    }

    [Fact]
    public async Task Chat_OneOfTwoChoicesHasFinished_ErrorEventAndNobodyElseAsked()
    {
        await using var stage = await Stage.PeersAsync(Streams.CutOf(Text("a", 0, "Yes"), Text("a", 1, "No"), Finish("a", 0)), Scripts.Chat("Other"));

        (await stage.PostAsync("/v1/chat/completions", new { model = "m", stream = true, n = 2, messages = Messages })).IsBrokenStream("stream_broken");
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_TwoChoicesOneFinishReason_IsNotComplete()
    {
        await using var stage = await Stage.AloneAsync(Streams.WholeOf(Text("a", 0, "Yes"), Text("a", 1, "No"), Finish("a", 0)), options => options with { StreamRecovery = Roadbalancer.Options.StreamRecovery.Off });

        var heard = await stage.PostAsync("/v1/chat/completions", new { model = "m", stream = true, n = 2, messages = Messages });

        // Read in one piece it is refused before anything goes out.
        Assert.True(heard.BrokeOff || heard.Status == 502, heard.ToString());
        Assert.Equal(0, heard.Dones);
    }

    [Fact]
    public async Task Chat_LogprobsHaveGoneOut_ErrorEventAndNobodyElseAsked()
    {
        var withLogprobs = Chat("a", new { index = 0, delta = new { content = "All" }, logprobs = new { content = new[] { new { token = "All", logprob = -0.1 } } } });
        await using var stage = await Stage.PeersAsync(Streams.CutOf(withLogprobs), Scripts.Chat("All is well"));

        (await stage.AskAsync(stream: true)).IsBrokenStream("stream_broken");
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_ReasoningThenContent_JoinedInBoth()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Reasoning("a", "Let me"), Reasoning("a", " think."), Text("a", 0, "All")),
            Streams.WholeOf(Reasoning("b", "Let me think."), Text("b", 0, "All is"), Text("b", 0, " well"), Finish("b", 0)));

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("All is well");
        Assert.Equal("Let me think.", heard.Content(field: "reasoning_content"));
    }

    [Fact]
    public async Task Chat_ReasoningDiffers_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Reasoning("a", "Let me think."), Text("a", 0, "All")),
            Streams.WholeOf(Reasoning("b", "Well, well."), Text("b", 0, "All is well"), Finish("b", 0)));

        (await stage.AskAsync(stream: true)).IsBrokenStream("replay_mismatch");
    }

    [Fact]
    public async Task Chat_UnicodeCutAndEscapedOtherwise_JoinedExactly()
    {
        const string Text = "Grüße 🌍 — «alles» \"gut\"\n";
        string[] replay = [Plain("b", "Gr"), Plain("b", "üße 🌍 — «alles»"), Plain("b", " \\\"gut\\\"\\n"), Finish("b", 0)];
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Plain("a", "Gr\\u00fc\\u00DFe \\ud83c\\udf0d"), Plain("a", " — «al")), Streams.WholeOf(replay));

        (await stage.AskAsync(stream: true)).IsWholeStream(Text);
    }

    [Fact]
    public async Task Chat_CharacterCutBetweenPackets_IsWhole()
    {
        var bytes = Encoding.UTF8.GetBytes($"data: {Plain("b", "All 🌍 well")}\n\n");
        var middle = bytes.AsSpan().IndexOf("🌍"u8) + 2;
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All"),
            async (_, connection, _) =>
            {
                await connection.BeginStreamAsync();
                await connection.RawAsync(Encoding.ASCII.GetBytes($"{middle:x}\r\n").Concat(bytes[..middle]).Concat("\r\n"u8.ToArray()).ToArray());
                await connection.RawAsync(Encoding.ASCII.GetBytes($"{bytes.Length - middle:x}\r\n").Concat(bytes[middle..]).Concat("\r\n"u8.ToArray()).ToArray());
                await connection.EventAsync(Finish("b", 0));
                await connection.DoneAsync();
                await connection.EndAsync();
            });

        (await stage.AskAsync(stream: true)).IsWholeStream("All 🌍 well");
    }

    [Fact]
    public async Task Chat_HalfASurrogateHasGoneOut_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(Streams.CutOf(Plain("a", "All \\ud83c")), Streams.WholeOf(Plain("b", "All 🌍"), Finish("b", 0)));

        var heard = await stage.AskAsync(stream: true);

        Assert.True(heard.BrokeOff);
        Assert.Equal("stream_broken", heard.ErrorCode);
    }

    [Fact]
    public async Task Completions_BreaksMidway_Joined()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Completion("a", "All"), Completion("a", " is")), Streams.WholeOf(Completion("b", "All i"), Completion("b", "s well"), Completion("b", "", "stop")));

        var heard = await stage.PostAsync("/v1/completions", new { model = "m", stream = true, prompt = "hello" });

        Assert.Equal("All is well", string.Concat(heard.Choices().Select(choice => choice.GetProperty("text").GetString())));
        Assert.All(heard.Chunks, chunk => Assert.Equal("id-a", chunk.GetProperty("id").GetString()));
        Assert.Equal("stop", Assert.Single(heard.FinishReasons));
        Assert.Equal((false, 1), (heard.BrokeOff, heard.Dones));
    }

    [Fact]
    public async Task Responses_BreaksMidway_ErrorEventOfThatApiAndNoEnd()
    {
        await using var stage = await Stage.PeersAsync(Streams.CutOf(Event("response.created"), Event("response.output_text.delta", "All")), Scripts.Chat("Other"));

        var heard = await stage.PostAsync("/v1/responses", new { model = "m", stream = true, input = "hello" });

        Assert.True(heard.BrokeOff);
        Assert.Contains("event: error\ndata: {\"type\":\"error\",\"code\":\"stream_broken\",\"message\":", heard.Text, StringComparison.Ordinal);
        Assert.Empty(stage.B.Requests);
        Assert.Equal(1, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Responses_BreaksBeforeTheFirstText_PeerAnswers()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.CutOf(Event("response.created")), ResponsesOf(Event("response.created"), Event("response.output_text.delta", "All"), Event("response.completed")));

        var heard = await stage.PostAsync("/v1/responses", new { model = "m", stream = true, input = "hello" });

        Assert.Equal((false, "b"), (heard.BrokeOff, heard.Backend));
        Assert.Equal(3, heard.Chunks.Count);
    }

    [Fact]
    public async Task Responses_TerminalEvent_IsCompleteWithoutDone()
    {
        string[] events = [Event("response.created"), Event("response.output_text.delta", "All"), Event("response.completed")];
        await using var stage = await Stage.PeersAsync(ResponsesOf(events), Scripts.Chat("Other"));

        var heard = await stage.PostAsync("/v1/responses", new { model = "m", stream = true, input = "hello" });

        Assert.Equal(string.Concat(events.Select(data => $"data: {data}\n\n")), heard.Text);
        Assert.False(heard.BrokeOff);
        Assert.Equal(0, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Responses_EndsWithoutTerminalEvent_NeverLooksWhole()
    {
        await using var stage = await Stage.AloneAsync(ResponsesOf(Event("response.created"), Event("response.output_text.delta", "All")));

        var heard = await stage.PostAsync("/v1/responses", new { model = "m", stream = true, input = "hello" });

        // Read in one piece it is refused before anything goes out.
        Assert.True(heard.BrokeOff ? heard.Text.Contains("event: error\n", StringComparison.Ordinal) : heard.Status == 502, heard.ToString());
    }

    private static object[] Messages => [new { role = "user", content = "hello" }];

    private static string Chat(string who, params object[] choices) => Streams.Chunk(who, choices);

    private static string Text(string who, int index, string content) => Chat(who, Streams.Delta(new { content }, index));

    private static string Finish(string who, int index) => Chat(who, Streams.Delta(new { }, index, "stop"));

    private static string Reasoning(string who, string text) => Chat(who, Streams.Delta(new { reasoning_content = text }));

    /// <summary>A chunk whose content is <paramref name="json"/> as it stands between the quotes.</summary>
    private static string Plain(string who, string json) =>
        $$"""{"id":"id-{{who}}","object":"chat.completion.chunk","created":1700000000,"model":"{{who}}","choices":[{"index":0,"delta":{"content":"{{json}}"},"finish_reason":null}]}""";

    private static string Completion(string who, string text, string? finish = null) => JsonSerializer.Serialize(new
    {
        id = "id-" + who,
        @object = "text_completion",
        created = ScriptedChat.Created,
        model = who,
        choices = new[] { new { index = 0, text, finish_reason = finish } },
    });

    private static string Event(string type, string? delta = null) =>
        delta is null ? JsonSerializer.Serialize(new { type, response = new { id = "resp_1" } }) : JsonSerializer.Serialize(new { type, delta });

    private static UpstreamScript ResponsesOf(params string[] events) => Scripts.StreamThen(events, connection => connection.EndAsync());
}
