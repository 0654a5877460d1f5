using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary><c>stream_recovery: continue</c>: the partial answer goes along as the assistant's, and what follows is spliced on.</summary>
public sealed class ContinueFaultsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Chat_BackendCanContinue_GetsThePartialAnswerAndItsContinuationIsSplicedOn(bool prefix)
    {
        var form = prefix ? ContinuationForm.Prefix : ContinuationForm.ContinueFinalMessage;
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", " well", " now"), Continue, (_, backend) => backend with { Continuation = form });

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("All is well now");
        Assert.All(heard.Chunks, chunk => Assert.Equal(("id-a", "a"), (chunk.GetProperty("id").GetString(), chunk.GetProperty("model").GetString())));
        var asked = Assert.Single(stage.B.Requests);
        Assert.Equal(
            prefix ? """[{"role":"user","content":"hello"},{"role":"assistant","content":"All is","prefix":true}]""" : """[{"role":"user","content":"hello"},{"role":"assistant","content":"All is"}]""",
            asked.Property("messages")!.Value.GetRawText());
        Assert.Equal(prefix ? null : JsonValueKind.True, asked.Property("continue_final_message")?.ValueKind);
        Assert.Equal(prefix ? null : JsonValueKind.False, asked.Property("add_generation_prompt")?.ValueKind);
        await stage.LoggedAsync("was taken up by b as Continue: Succeeded");
    }

    [Fact]
    public async Task Chat_BackendRefusesThePrefix_SameBackendReplaysAndItsRefusalIsNotTheClients()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"),
            Scripts.Sequence(Scripts.ErrorBody(400, "invalid_value", "continue_final_message is not supported."), Streams.Whole("b", "All is", " well")),
            Continue,
            (_, backend) => backend with { Continuation = ContinuationForm.ContinueFinalMessage });

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("All is well");
        Assert.Equal(2, stage.B.Requests.Count);
        Assert.Equal(stage.A.Requests[0].Text, stage.B.Requests[1].Text);
        Assert.Equal((1, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    [Fact]
    public async Task Chat_RefusedPrefixAndNoReplay_ErrorEventNotTheRefusal()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"),
            Scripts.Sequence(Scripts.ErrorBody(400, "invalid_value", "continue_final_message is not supported."), Streams.Whole("b", "Other")),
            Continue,
            (_, backend) => backend with { Continuation = ContinuationForm.ContinueFinalMessage });

        (await stage.AskAsync(stream: true)).IsBrokenStream("replay_mismatch");
    }

    [Fact]
    public async Task Chat_BackendDeclaresNothing_IsNotAskedToContinueButReplays()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", "All is well"), Continue);

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
        Assert.Equal(stage.A.Requests[0].Text, Assert.Single(stage.B.Requests).Text);
    }

    [Fact]
    public async Task Chat_BreaksAgainInTheContinuation_SecondContinuationGetsAllThatWasSaid()
    {
        await using var stage = await Stage.ThreeAsync(
            Streams.Cut("a", "All"), Streams.Cut("b", " is", " we"), Streams.Whole("c", "ll"), Continue,
            (_, backend) => backend with { Continuation = ContinuationForm.Prefix });

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
        Assert.Contains("""{"role":"assistant","content":"All is we","prefix":true}""", Assert.Single(stage.C.Requests).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_ContinuationHasNothingToAdd_FinishReasonAndDone()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All is well"), Streams.Whole("b"), Continue, (_, backend) => backend with { Continuation = ContinuationForm.ContinueFinalMessage });

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
    }

    [Fact]
    public async Task Chat_ToolsInTheRequest_Replayed()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"), Streams.Whole("b", "All is well"), Continue, (_, backend) => backend with { Continuation = ContinuationForm.Prefix });

        var heard = await stage.PostAsync("/v1/chat/completions", new
        {
            model = "m",
            stream = true,
            messages = new[] { new { role = "user", content = "hello" } },
            tools = new[] { new { type = "function", function = new { name = "weather" } } },
        });

        heard.IsWholeStream("All is well");
        Assert.Equal(stage.A.Requests[0].Text, Assert.Single(stage.B.Requests).Text);
    }

    [Fact]
    public async Task Chat_ClientsOwnLastMessageIsTheAssistants_Replayed()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"), Streams.Whole("b", "All is well"), Continue, (_, backend) => backend with { Continuation = ContinuationForm.Prefix });

        var heard = await stage.PostAsync("/v1/chat/completions", new
        {
            model = "m",
            stream = true,
            messages = new[] { new { role = "user", content = "hello" }, new { role = "assistant", content = "Well," } },
        });

        heard.IsWholeStream("All is well");
        Assert.Equal(stage.A.Requests[0].Text, Assert.Single(stage.B.Requests).Text);
    }

    [Fact]
    public async Task Chat_UsageOfTheContinuation_ReportedOnce()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"), Streams.Whole("b", " well"), Continue, (_, backend) => backend with { Continuation = ContinuationForm.Prefix });

        var heard = await stage.PostAsync("/v1/chat/completions", new
        {
            model = "m",
            stream = true,
            stream_options = new { include_usage = true },
            messages = new[] { new { role = "user", content = "hello" } },
        });

        heard.IsWholeStream("All is well");
        Assert.Single(heard.Usages);
    }

    private static BalancerOptions Continue(BalancerOptions options) => options with { StreamRecovery = StreamRecovery.Continue };
}
