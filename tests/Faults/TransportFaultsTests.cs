using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Faults of connections that are in use already, and of answers that are neither chat nor JSON.</summary>
public sealed class TransportFaultsTests
{
    [Theory]
    [InlineData("reset")]
    [InlineData("end")]
    public async Task Files_ConnectionUsedBeforeBreaks_NotSentTwice(string how)
    {
        var fault = how == "reset" ? Scripts.ResetBeforeHeaders : Scripts.CloseBeforeHeaders;
        await using var stage = await Stage.AloneAsync(Scripts.Sequence(Scripts.Respond(200, "{}"), fault, Scripts.Respond(200, "{}")));
        Assert.Equal(200, (await stage.PostAsync("/v1/files", "{}")).Status);

        var heard = await stage.PostAsync("/v1/files", "{}");

        Assert.Equal((502, "1"), (heard.Status, heard.Attempts));
        Assert.Equal(2, stage.A.Requests.Count);
        Assert.Equal(stage.A.Requests[0].Connection, stage.A.Requests[1].Connection);
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("end")]
    public async Task Chat_ConnectionUsedBeforeBreaks_OneAttemptThenThePeer(string how)
    {
        var fault = how == "reset" ? Scripts.ResetBeforeHeaders : Scripts.CloseBeforeHeaders;
        await using var stage = await Stage.GroupsAsync(Scripts.Sequence(Scripts.Chat("Hi"), fault), Scripts.Chat("Hi"));
        await stage.AskAsync();

        var heard = await stage.AskAsync();

        Assert.Equal((200, "b", "3"), (heard.Status, heard.Backend, heard.Attempts));
        Assert.Equal(3, stage.A.Requests.Count);
    }

    [Fact]
    public async Task Speech_CutMidway_BreaksOffAtTheClientAndIsNotSentAgain()
    {
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var stage = await Stage.PeersAsync(
            async (_, connection, _) =>
            {
                await connection.RawAsync("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsound\r\n"u8.ToArray());
                await seen.Task.WaitAsync(connection.Gone);
                await connection.ResetAsync();
            },
            Scripts.Chat("Other"));

        var heard = await Heard.OfAsync(
            stage.Balancer.PostAsync("/v1/audio/speech", """{"model":"m","input":"hello"}"""), _ => seen.TrySetResult());

        Assert.Equal((200, "sound", true), (heard.Status, heard.Text, heard.BrokeOff));
        Assert.Empty(stage.B.Requests);
        Assert.Equal(1, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Speech_ShorterThanAnnounced_PeerAnswers()
    {
        await using var stage = await Stage.PeersAsync(
            (_, connection, _) => connection.ShortBodyAsync(1000, "sound", "audio/mpeg"),
            (_, connection, _) => connection.RespondAsync(200, "whole", "audio/mpeg"));

        var heard = await stage.PostAsync("/v1/audio/speech", """{"model":"m","input":"hello"}""");

        Assert.Equal((200, "whole", "b", "a;answer_malformed, b;answering"), (heard.Status, heard.Text, heard.Backend, heard.Trail));
    }

    [Fact]
    public async Task Chat_SilentInTheMiddleOfABody_PeerAnswers()
    {
        await using var stage = await Stage.PeersAsync(
            async (_, connection, _) =>
            {
                await connection.RawAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":"u8.ToArray());
                await connection.HangAsync();
            },
            Scripts.Chat("Hi"),
            shape: (index, backend) => index == 0 ? backend with { Timeout = TimeSpan.FromSeconds(2) } : backend);

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a;timed_out, b;answering"), (heard.Status, heard.Trail));
        await Await.For(stage.A.Requests[0].Left, "the silent backend to be left");
    }

    [Fact]
    public async Task Chat_ReplayAnsweredWithoutAStream_NotMixedIntoIt()
    {
        await using var stage = await Stage.ThreeAsync(
            Streams.Cut("a", "All", " is"), Scripts.Respond(200, ScriptedChat.Body("All is well")), Streams.Whole("c", "All is well"));

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("All is well");
        Assert.Equal(1, await stage.FailuresAsync("b"));
    }

    [Fact]
    public async Task Chat_ReplayAnsweredWithoutAStreamAndNobodyElse_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Scripts.Respond(200, ScriptedChat.Body("All is well")));

        (await stage.AskAsync(stream: true)).IsBrokenStream("stream_malformed");
    }
}
