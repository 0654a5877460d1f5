using System.Net.Sockets;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary><c>stream_recovery: replay</c>: what can be joined exactly is, what cannot ends in a clear error.</summary>
public sealed class ReplayFaultsTests
{
    private const string WithUsage = """{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}""";

    [Theory]
    [InlineData("All| is| well")]
    [InlineData("All is| well")]
    [InlineData("A|l|l| |i|s| well")]
    [InlineData("All is w|ell")]
    [InlineData("All is well")]
    public async Task Chat_ReplayCutOtherwise_TextOnceUnderTheFirstIdentityWithOneUsage(string pieces)
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", pieces.Split('|')));

        var heard = await stage.PostAsync("/v1/chat/completions", WithUsage);

        heard.IsWholeStream("All is well");
        Assert.All(heard.Chunks, chunk => Assert.Equal(
            ("id-a", "a", ScriptedChat.Created),
            (chunk.GetProperty("id").GetString(), chunk.GetProperty("model").GetString(), chunk.GetProperty("created").GetInt64())));
        Assert.Equal(ScriptedChat.PromptTokens, Assert.Single(heard.Usages).GetProperty("prompt_tokens").GetInt32());
        Assert.Single(heard.Deltas(), delta => delta.TryGetProperty("role", out _));
    }

    [Fact]
    public async Task Chat_ReplaySaysOtherwise_ErrorEventNobodyElseBlamedAndNoFurtherAttempt()
    {
        await using var stage = await Stage.ThreeAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", "All was well"), Streams.Whole("c", "All is well"));

        var heard = await stage.AskAsync(stream: true);

        heard.IsBrokenStream("replay_mismatch");
        Assert.Equal("All is", heard.Content());
        Assert.Equal((1, 1, 0), (stage.A.Requests.Count, stage.B.Requests.Count, stage.C.Requests.Count));
        Assert.Equal((1, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    [Theory]
    [InlineData("content_filter")]
    [InlineData("invalid_value")]
    public async Task Chat_ReplayRefusedAsTheCallersFault_AThirdBackendTakesItUp(string code)
    {
        await using var stage = await Stage.ThreeAsync(
            Streams.Cut("a", "All", " is"), Scripts.ErrorBody(400, code, "Not like that."), Streams.Whole("c", "All is well"));

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("All is well");
        Assert.Equal((1, 1, 1), (stage.A.Requests.Count, stage.B.Requests.Count, stage.C.Requests.Count));
        Assert.Equal(0, await stage.FailuresAsync("b"));
    }

    [Fact]
    public async Task Chat_ReplayIsShorter_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is", " well"), Streams.Whole("b", "All"));

        (await stage.AskAsync(stream: true)).IsBrokenStream("replay_mismatch");
    }

    [Fact]
    public async Task Chat_ReplayEndsWhereTheClientIs_FinishReasonAndDone()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", "All is"));

        (await stage.AskAsync(stream: true)).IsWholeStream("All is");
    }

    [Fact]
    public async Task Chat_CannotBeJoined_RawClientSeesTheErrorEventAndNoLastChunk()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Whole("b", "Other"));

        var answer = await ReadRawAsync(stage.Balancer.Url);

        Assert.Contains("Transfer-Encoding: chunked", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"replay_mismatch\"", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", answer, StringComparison.Ordinal);
        Assert.False(answer.EndsWith("0\r\n\r\n", StringComparison.Ordinal), answer);
    }

    [Fact]
    public async Task Chat_BreaksTwice_JoinedTwice()
    {
        await using var stage = await Stage.ThreeAsync(Streams.Cut("a", "All"), Streams.Cut("b", "A", "ll is", " we"), Streams.Whole("c", "All is well"));

        var heard = await stage.PostAsync("/v1/chat/completions", WithUsage);

        heard.IsWholeStream("All is well");
        Assert.Single(heard.Usages);
        Assert.All(heard.Chunks, chunk => Assert.Equal("id-a", chunk.GetProperty("id").GetString()));
        Assert.All(stage.Upstreams, upstream => Assert.Single(upstream.Requests));
        Assert.Equal((1, 1, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b"), await stage.FailuresAsync("c")));
    }

    [Fact]
    public async Task Chat_SecondBackendIsDown_ThirdIsJoined()
    {
        await using var stage = await Stage.ThreeAsync(Streams.Cut("a", "All"), Scripts.Status(500), Streams.Whole("c", "All is well"));

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
    }

    [Fact]
    public async Task Chat_SecondBackendRefusesTheRequest_ErrorEventNotItsStatus()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All"), Scripts.ErrorBody(400, "invalid_value", "Not like this."));

        (await stage.AskAsync(stream: true)).IsBrokenStream("caller_fault");
    }

    [Fact]
    public async Task Chat_OneBackendThatComesBack_JoinedAfterABackoff()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Sequence(Streams.Cut("a", "All"), Streams.Whole("a2", "All is well")));

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]) >= TimeSpan.FromMilliseconds(400));
    }

    [Fact]
    public async Task Chat_ReplayTakesLongerThanAFirstToken_IsNotGivenUp()
    {
        var pieces = Enumerable.Range(0, 30).Select(number => $"{number} ").ToArray();
        await using var stage = await Stage.ThreeAsync(
            Streams.Cut("a", pieces[..29]), Paced("b", pieces, TimeSpan.FromMilliseconds(30)), Scripts.Status(500),
            shape: (name, backend) => name == "b" ? backend with { FirstTokenTimeout = TimeSpan.FromSeconds(2) } : backend);

        (await stage.AskAsync(stream: true)).IsWholeStream(string.Concat(pieces));
    }

    [Fact]
    public async Task Chat_ReplayStallsBeforeTheJoin_ThirdIsJoined()
    {
        await using var stage = await Stage.ThreeAsync(
            Streams.Cut("a", "All", " is"), Scripts.StreamThen(Streams.Begin("b", "All"), connection => connection.HangAsync()), Streams.Whole("c", "All is well"),
            shape: (name, backend) => name == "b" ? backend with { StreamIdleTimeout = TimeSpan.FromSeconds(2) } : backend);

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
        Assert.Equal((1, 0), (await stage.FailuresAsync("b"), await stage.FailuresAsync("c")));
    }

    [Fact]
    public async Task Chat_MalformedEventInTheReplay_Dropped()
    {
        string[] replay = ["{not JSON", .. Streams.Begin("b", "All is"), "nor this", ScriptedChat.Content(" well", "b"), ScriptedChat.Finish()];
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All"), Streams.WholeOf(replay));

        (await stage.AskAsync(stream: true)).IsWholeStream("All is well");
    }

    [Fact]
    public async Task Chat_Off_ErrorEventAndNobodyElseAsked()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All"), Streams.Whole("b", "All is well"), options => options with { StreamRecovery = Roadbalancer.Options.StreamRecovery.Off });

        (await stage.AskAsync(stream: true)).IsBrokenStream("stream_broken");
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_Buffer_NothingOfTheBrokenAnswerIsSeen()
    {
        await using var stage = await Stage.PeersAsync(
            Streams.Cut("a", "All", " is"), Streams.Whole("b", "Something ", "else"), options => options with { StreamRecovery = Roadbalancer.Options.StreamRecovery.Buffer });

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("Something else");
        Assert.Equal(("b", "2", "a;stream_broken, b;answering"), (heard.Backend, heard.Attempts, heard.Trail));
        Assert.All(heard.Chunks, chunk => Assert.Equal("id-b", chunk.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task Chat_BufferAndAStall_PeerAnswersFromTheStart()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.StreamThen(Streams.Begin("a", "All"), connection => connection.HangAsync()),
            Streams.Whole("b", "Something else"),
            options => options with { StreamRecovery = Roadbalancer.Options.StreamRecovery.Buffer },
            (index, backend) => index == 0 ? backend with { StreamIdleTimeout = TimeSpan.FromSeconds(2) } : backend);

        var heard = await stage.AskAsync(stream: true);

        heard.IsWholeStream("Something else");
        Assert.Equal("a;stream_stalled, b;answering", heard.Trail);
    }

    [Fact]
    public async Task Chat_EverybodyBreaks_ErrorEventOnceAndNothingTwice()
    {
        await using var stage = await Stage.PeersAsync(Streams.Cut("a", "All", " is"), Streams.Cut("b", "All is", " we"));

        var heard = await stage.AskAsync(stream: true);

        heard.IsBrokenStream("stream_broken");
        Assert.Equal("All is we", heard.Content());
    }

    private static UpstreamScript Paced(string who, string[] pieces, TimeSpan pace) => async (_, connection, cancellationToken) =>
    {
        await connection.BeginStreamAsync();
        foreach (var data in Streams.Begin(who, pieces).Append(ScriptedChat.Finish("stop", who, "id-" + who)))
        {
            await Task.Delay(pace, TimeProvider.System, cancellationToken);
            await connection.EventAsync(data);
        }

        await connection.DoneAsync();
        await connection.EndAsync();
    };

    private static async Task<string> ReadRawAsync(Uri url)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(url.Host, url.Port, cancellationToken);
        var body = BalancerHost.ChatJson(stream: true);
        await socket.SendAsync(Encoding.UTF8.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"), cancellationToken);
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, cancellationToken) is > 0 and var count)
        {
            answer.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return answer.ToString();
    }
}
