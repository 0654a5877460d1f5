using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>The sixteen fault kinds of the public scorecard, each at the first of two backends; <c>docs/failure-handling.md</c> has them as a table.</summary>
public sealed class SixteenFaultsTests
{
    private const string Good = "All is well that ends well";

    private readonly TaskCompletionSource _seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task Fault01_429WithRetryAfter_PeerAnswersAndFirstIsLeftAloneUntilThen()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(429, 120), Scripts.Chat(Good));

        await AssertSavedAsync(stage);
        await AssertSavedAsync(stage, attempts: 1);
        await AssertSeenAsync(stage, 1, 2, failuresOfA: 0);
    }

    [Fact]
    public async Task Fault02_429WithoutRetryAfter_PeerAnswersAndFirstIsLeftAloneForASecond()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Sequence(Scripts.Status(429), Scripts.Chat(Good)), Scripts.Chat(Good));

        await AssertSavedAsync(stage);
        while (stage.A.Requests.Count == 1)
        {
            Assert.Equal(200, (await stage.AskAsync()).Status);
        }

        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]) >= TimeSpan.FromMilliseconds(950));
        Assert.Equal(0, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Fault03_500Once_PeerAnswers()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Sequence(Scripts.Status(500), Scripts.Chat(Good)), Scripts.Chat(Good));

        await AssertSavedAsync(stage);
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault04_503ForGood_PeerAnswersAllAndTheCircuitSparesTheFirst()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(503), Scripts.Chat(Good), options => options with { Cooldown = TimeSpan.FromSeconds(60) });

        for (var i = 0; i < 10; i++)
        {
            var heard = await stage.AskAsync(stream: i % 2 == 0);
            Assert.Equal((200, "b", false), (heard.Status, heard.Backend, heard.BrokeOff));
        }

        await AssertSeenAsync(stage, 3, 10, failuresOfA: 3);
        Assert.Equal(CircuitState.Open, (await stage.SettledAsync("a")).Vitals.Circuit);
    }

    [Fact]
    public async Task Fault05_ResetBeforeHeaders_PeerAnswers()
    {
        await using var stage = await Stage.PeersAsync(Scripts.ResetBeforeHeaders, Scripts.Chat(Good));

        await AssertSavedAsync(stage);
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault06_Silence_PeerAnswersAfterTheTimeoutAndTheFirstIsCancelled()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Hang, Scripts.Chat(Good), shape: OnlyA(backend => backend with { Timeout = TimeSpan.FromSeconds(2) }));

        await AssertSavedAsync(stage);
        await Await.For(stage.A.Requests[0].Left, "the silent backend to be left");
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault07_SlowFirstToken_PeerAnswersAndTheFirstIsCancelled()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.StreamThen([ScriptedChat.Role()], connection => connection.HangAsync()),
            Scripts.Chat(Good),
            shape: OnlyA(backend => backend with { FirstTokenTimeout = TimeSpan.FromSeconds(2) }));

        await AssertSavedAsync(stage);
        await Await.For(stage.A.Requests[0].Left, "the slow backend to be left");
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault08_CutAtTwoThirds_OneWholeStream()
    {
        await using var stage = await Stage.PeersAsync(Broken(connection => connection.ResetAsync()), Streams.Whole("b", "All is", " well that", " ends well"));

        (await stage.AskAsync(BreakOnceSeen)).IsWholeStream(Good);
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
        Assert.Equal(stage.A.Requests[0].Text, stage.B.Requests[0].Text);
    }

    [Fact]
    public async Task Fault09_Stall_OneWholeStreamAndTheFirstIsCancelled()
    {
        await using var stage = await Stage.PeersAsync(
            Broken(connection => connection.HangAsync()),
            Streams.Whole("b", "All is", " well that", " ends well"),
            shape: OnlyA(backend => backend with { StreamIdleTimeout = TimeSpan.FromSeconds(2) }));

        (await stage.AskAsync(BreakOnceSeen)).IsWholeStream(Good);
        await Await.For(stage.A.Requests[0].Left, "the stalled backend to be left");
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault10_MalformedEvent_DroppedAndTheRestByteForByte()
    {
        string[] events = [.. ScriptedChat.Events(Good)];
        await using var stage = await Stage.PeersAsync(Streams.WholeOf([.. events[..3], "{\"choices\":[{", .. events[3..]]), Scripts.Chat("Other"));

        var heard = await stage.AskAsync(stream: true);

        Assert.Equal(string.Concat(events.Append("[DONE]").Select(data => $"data: {data}\n\n")), heard.Text);
        await AssertSeenAsync(stage, 1, 0, failuresOfA: 0);
    }

    [Fact]
    public async Task Fault11_NoDone_Supplied()
    {
        await using var stage = await Stage.PeersAsync(Scripts.StreamThen(ScriptedChat.Events(Good), connection => connection.EndAsync()), Scripts.Chat("Other"));

        (await stage.AskAsync(stream: true)).IsWholeStream(Good);
        await AssertSeenAsync(stage, 1, 0, failuresOfA: 0);
    }

    [Fact]
    public async Task Fault12_ContextLength_LargerModelOfAWorsePriorityAnswers()
    {
        await using var stage = await Stage.GroupsAsync(Scripts.ErrorBody(400, "context_length_exceeded", "At most 4096 tokens."), Scripts.Chat(Good));

        await AssertSavedAsync(stage);
        await AssertSeenAsync(stage, 1, 1, failuresOfA: 0);
    }

    [Fact]
    public async Task Fault13_ContentFilter_AsItIsAndNobodyElseAsked()
    {
        await using var stage = await Stage.PeersAsync(Scripts.ErrorBody(400, "content_filter", "Not this."), Scripts.Chat("Other"));

        var heard = await stage.AskAsync(stream: true);

        Assert.Equal((400, ScriptedChat.Error("content_filter", "Not this."), "a"), (heard.Status, heard.Text, heard.Backend));
        await AssertSeenAsync(stage, 1, 0, failuresOfA: 0);
    }

    [Fact]
    public async Task Fault14_RefusedPrefix_ReplayedAndNeverTheClientsError()
    {
        await using var stage = await Stage.PeersAsync(
            Broken(connection => connection.ResetAsync()),
            Scripts.Sequence(Scripts.ErrorBody(400, "invalid_value", "No prefix here."), Streams.Whole("b", "All is well", " that ends", " well")),
            options => options with { StreamRecovery = StreamRecovery.Continue },
            (_, backend) => backend with { Continuation = ContinuationForm.Prefix });

        (await stage.AskAsync(BreakOnceSeen)).IsWholeStream(Good);
        await AssertSeenAsync(stage, 1, 2, failuresOfA: 1);
    }

    [Fact]
    public async Task Fault15_FlappingPrimary_EveryAnswerWhole()
    {
        var turn = 0;
        await using var stage = await Stage.GroupsAsync(
            (request, connection, token) =>
                (Interlocked.Increment(ref turn) % 3 == 0 ? Scripts.Chat(Good) : Scripts.ResetBeforeHeaders)(request, connection, token),
            Scripts.Chat(Good),
            options => options with { RetryBudgetFloor = 1000 });

        for (var i = 0; i < 12; i++)
        {
            (await stage.AskAsync(stream: true)).IsWholeStream(Good);
        }

        await stage.SettledAsync();
    }

    [Fact]
    public async Task Fault16_AccountingAfterFailover_WhoAnsweredIsToldAndCounted()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat(Good, model: "b-model"));

        var heard = await stage.AskAsync();

        await stage.SettledAsync();
        using var body = JsonDocument.Parse(heard.Text);
        Assert.Equal(("b-model", "b"), (body.RootElement.GetProperty("model").GetString(), heard.Backend));
        var asked = body.RootElement.GetProperty("usage").GetProperty("prompt_tokens").GetInt64();
        var answered = body.RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt64();
        var snapshot = await stage.Balancer.ReadAsync();
        var (a, b) = (snapshot.For("a").Totals, snapshot.For("b").Totals);
        Assert.Equal((1, 0, 0, 0), (a.Requests, a.Successes, a.InputTokens, a.OutputTokens));
        Assert.Equal((1, 1, asked, answered), (b.Requests, b.Successes, b.InputTokens, b.OutputTokens));
    }

    private static Func<int, Backend, Backend> OnlyA(Func<Backend, Backend> change) => (index, backend) => index == 0 ? change(backend) : backend;

    private static async Task AssertSavedAsync(Stage stage, int attempts = 2)
    {
        var heard = await stage.AskAsync(stream: true);
        heard.IsWholeStream(Good);
        Assert.Equal(("b", attempts.ToString(System.Globalization.CultureInfo.InvariantCulture)), (heard.Backend, heard.Attempts));
    }

    private static async Task AssertSeenAsync(Stage stage, int atA, int atB, int failuresOfA)
    {
        Assert.Equal((atA, atB), (stage.A.Requests.Count, stage.B.Requests.Count));
        Assert.Equal((failuresOfA, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    /// <summary>Two thirds of the answer, and the fault once the client has them.</summary>
    private UpstreamScript Broken(Func<UpstreamConnection, Task> fault) => Scripts.StreamThen(Streams.Begin("a", "All", " is", " well", " that"), async connection =>
    {
        await _seen.Task.WaitAsync(connection.Gone);
        await fault(connection);
    });

    private void BreakOnceSeen(string text)
    {
        if (text.Contains("\" that\"", StringComparison.Ordinal))
        {
            _seen.TrySetResult();
        }
    }
}
