using Roadbalancer.Options;
using Roadbalancer.Tests.Support;
using Roadbalancer.Tests.Telemetry;

namespace Roadbalancer.Tests.Faults;

/// <summary>Hedging: a second try while the first is slow, seldom, and never where a request must not run twice.</summary>
public sealed class HedgingFaultsTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Chat_FirstIsSlow_SecondAnswersAndTheFirstIsCancelled(bool stream)
    {
        await using var stage = await Stage.PeersAsync(Scripts.Hang, Scripts.Chat("All is well"), Hedged);

        var heard = await stage.AskAsync(stream);

        Assert.Equal((200, "b", "2"), (heard.Status, heard.Backend, heard.Attempts));
        Assert.Equal("a;superseded, b;answering", heard.Trail);
        await Await.For(stage.A.Requests[0].Left, "the loser to be cancelled");
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.B.Requests[0]) >= TimeSpan.FromSeconds(1));
        Assert.Equal((0, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    [Fact]
    public async Task Chat_FirstIsSlowButFirst_ItsAnswerWins()
    {
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var stage = await Stage.PeersAsync(
            Scripts.After(second.Task, Scripts.Chat("All is well")),
            (request, connection, token) =>
            {
                second.TrySetResult();
                return Scripts.Hang(request, connection, token);
            },
            Hedged);

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a", "a;answering, b;superseded"), (heard.Status, heard.Backend, heard.Trail));
        await Await.For(stage.B.Requests[0].Left, "the loser to be cancelled");
        Assert.Equal(0, await stage.FailuresAsync("b"));
        await Await.Until(() => stage.Balancer.Log.Has("ended as succeeded"), "the request is reported");
        var scrape = await Scrape.OfAsync(stage.Balancer.Http);
        Assert.Equal(1, scrape["roadbalancer_requests_total{backend=\"a\",outcome=\"succeeded\"}"]);
        Assert.Null(scrape["roadbalancer_requests_total{backend=\"b\",outcome=\"succeeded\"}"]);
    }

    [Fact]
    public async Task Chat_FirstIsFast_NoSecond()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Chat("All is well"), Scripts.Hang, options => Hedged(options) with { HedgeAfter = TimeSpan.FromSeconds(60) });

        Assert.Equal("1", (await stage.AskAsync()).Attempts);
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_RivalFails_FirstStillAnswers()
    {
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var stage = await Stage.PeersAsync(
            Scripts.After(second.Task, Scripts.Chat("All is well")),
            async (request, connection, token) =>
            {
                await Scripts.Status(500)(request, connection, token);
                second.TrySetResult();
            },
            Hedged);

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a"), (heard.Status, heard.Backend));
        Assert.Equal((0, 1), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    [Fact]
    public async Task Chat_ShareOfHedgesUsedUp_NoSecond()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Hang, Scripts.Chat("All is well"), options => Hedged(options) with { HedgeRatio = 0.05 }, (_, backend) => backend with { Timeout = TimeSpan.FromSeconds(4) });

        var heard = await stage.AskAsync();

        // One request of one is more than a twentieth: a times out first, then b is asked.
        Assert.Equal((200, "b", "a;timed_out, b;answering"), (heard.Status, heard.Backend, heard.Trail));
    }

    [Fact]
    public async Task Files_FirstIsSlow_NeverSentTwice()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Hang, Scripts.Respond(200, "{}"), Hedged, (_, backend) => backend with { Timeout = TimeSpan.FromSeconds(4) });

        var heard = await stage.PostAsync("/v1/files", "{}");

        Assert.Equal((504, "1"), (heard.Status, heard.Attempts));
        Assert.Empty(stage.B.Requests);
    }

    private static BalancerOptions Hedged(BalancerOptions options) => options with { HedgeAfter = TimeSpan.FromSeconds(2), HedgeRatio = 1 };
}
