using System.Globalization;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Where a request goes after a failure, when, and how often.</summary>
public sealed class RetryFaultsTests
{
    private const string Good = "All is well";

    [Fact]
    public async Task Chat_ServerErrorOnce_SameBackendAfterABackoffBeforeTheWorseGroup()
    {
        await using var stage = await Stage.GroupsAsync(Scripts.Sequence(Scripts.Status(500), Scripts.Chat(Good)), Scripts.Chat("Other"));

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a", "2", "a;server_error, a;answering"), (heard.Status, heard.Backend, heard.Attempts, heard.Trail));
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]) >= TimeSpan.FromMilliseconds(400));
        Assert.Empty(stage.B.Requests);
        Assert.Equal(0, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Chat_ServerErrorsForGood_BackoffDoublesAndNeverMoreThanRetryCountAndOne()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Status(500), options => options with { RetryCount = 3, FailureThreshold = 100 });

        var heard = await stage.AskAsync();

        Assert.Equal((500, "4"), (heard.Status, heard.Attempts));
        var gaps = stage.A.Requests.Zip(stage.A.Requests.Skip(1), stage.A.Gap).ToArray();
        Assert.Equal(3, gaps.Length);
        Assert.All(gaps.Zip([400, 800, 1600]), pair => Assert.True(pair.First.TotalMilliseconds >= pair.Second, $"{pair.First.TotalMilliseconds} ms"));
    }

    [Theory]
    [InlineData("Retry-After", "2", 2000)]
    [InlineData("retry-after-ms", "300", 300)]
    [InlineData("x-ratelimit-reset-requests", "1.5s", 1500)]
    [InlineData("Retry-After", "0.5", 500)]
    public async Task Chat_ShortRetryAfter_WaitedForAtThatBackendBeforeTheWorseGroup(string header, string value, int leastMs)
    {
        await using var stage = await Stage.GroupsAsync(
            Scripts.Sequence(Scripts.ErrorBody(429, "rate_limit_exceeded", "Slow down.", (header, value)), Scripts.Chat(Good)), Scripts.Chat("Other"));

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a", "a;rate_limited, a;answering"), (heard.Status, heard.Backend, heard.Trail));
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]).TotalMilliseconds >= leastMs);
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_ShortRetryAfterAsADate_WaitedFor()
    {
        var time = new HurriedTime();
        await using var stage = await Stage.GroupsAsync(
            Scripts.Sequence(
                (request, connection, token) => Scripts.ErrorBody(
                    503, "busy", "Later.", ("Retry-After", time.GetUtcNow().AddSeconds(4).ToString("R", CultureInfo.InvariantCulture)))(request, connection, token),
                Scripts.Chat(Good)),
            Scripts.Chat("Other"));

        var heard = await stage.AskAsync();

        Assert.Equal((200, "a", "2"), (heard.Status, heard.Backend, heard.Attempts));
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]) >= TimeSpan.FromSeconds(1.5));
    }

    [Fact]
    public async Task Chat_LongRetryAfter_ParksAndTheNextRequestDoesNotGoThere()
    {
        await using var stage = await Stage.GroupsAsync(Scripts.Status(429, 120), Scripts.Chat(Good));

        var first = await stage.AskAsync();
        var second = await stage.AskAsync();

        Assert.Equal(("b", "2"), (first.Backend, first.Attempts));
        Assert.Equal(("b", "1"), (second.Backend, second.Attempts));
        Assert.Single(stage.A.Requests);
    }

    [Fact]
    public async Task Chat_PeerIsThereToo_GoesToThePeerAtOnceAndNotBack()
    {
        await using var stage = await Stage.ThreeAsync(
            Scripts.Status(503, 1), Scripts.Chat(Good), Scripts.Chat("Other"), shape: (name, backend) => backend with { Priority = name == "c" ? 1 : 0 });

        var heard = await stage.AskAsync();

        Assert.Equal(("b", "a;overloaded, b;answering"), (heard.Backend, heard.Trail));
        Assert.Empty(stage.C.Requests);
    }

    [Fact]
    public async Task Chat_BothPeersFail_LastOfThemOnceMoreThenTheWorseGroup()
    {
        await using var stage = await Stage.ThreeAsync(
            Scripts.Status(500), Scripts.Status(500), Scripts.Chat(Good), shape: (name, backend) => backend with { Priority = name == "c" ? 1 : 0 });

        var heard = await stage.AskAsync();

        Assert.Equal(("c", "a;server_error, b;server_error, b;server_error, c;answering"), (heard.Backend, heard.Trail));
    }

    [Fact]
    public async Task Chat_EverybodyFails_LastStatusAndBodyAfterAtMostRetryCountAndOneEach()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Status(502), options => options with { RetryCount = 2 });

        var heard = await stage.AskAsync();

        Assert.Equal((502, "scripted"), (heard.Status, heard.ErrorCode));
        Assert.InRange(stage.A.Requests.Count, 1, 3);
        Assert.InRange(stage.B.Requests.Count, 1, 3);
    }

    [Fact]
    public async Task Chat_TotalTimeout_504AndTheUpstreamIsFreed()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Hang, options => options with { TotalTimeout = TimeSpan.FromSeconds(2) });

        var heard = await stage.AskAsync();

        Assert.Equal((504, "deadline_exceeded", "a;deadline_reached"), (heard.Status, heard.ErrorCode, heard.Trail));
        await Await.For(stage.A.Requests[0].Left, "the upstream to be freed");
        Assert.Equal(0, await stage.FailuresAsync("a"));
    }

    [Fact]
    public async Task Chat_TotalTimeoutMidway_ErrorEvent()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.StreamThen(Streams.Begin("a", "All"), connection => connection.HangAsync()), Scripts.Chat(Good), options => options with { TotalTimeout = TimeSpan.FromSeconds(4) });

        (await stage.AskAsync(stream: true)).IsBrokenStream("deadline_reached");
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Chat_BackoffWouldPassTheDeadline_NotWaitedFor()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Status(503, 4), options => options with { TotalTimeout = TimeSpan.FromSeconds(3) });

        var heard = await stage.AskAsync();

        Assert.Equal((503, "4", "1"), (heard.Status, heard.Header("Retry-After"), heard.Attempts));
    }

    [Fact]
    public async Task Chat_RetryBudgetUsedUp_FailureIsToldWithoutAnotherAttempt()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Status(500), Scripts.Chat(Good), options => options with { RetryBudgetFloor = 2, RetryBudgetRatio = 0, FailureThreshold = 100 });

        var statuses = new List<int>();
        for (var i = 0; i < 4; i++)
        {
            statuses.Add((await stage.AskAsync()).Status);
        }

        // Round robin: the third request's turn is a's again, and the budget of ten seconds is gone.
        Assert.Equal(2, stage.B.Requests.Count(request => request.Order < 2));
        Assert.Contains(500, statuses);
        Assert.True(stage.Balancer.Log.Has("the retry budget is used up"));
    }

    [Fact]
    public async Task Chat_ConnectRefused_CostsNoRetryBudget()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Hang, Scripts.Chat(Good), options => options with { RetryBudgetFloor = 0, RetryBudgetRatio = 0 },
            (index, backend) => index == 0 ? backend with { BaseUrl = new Uri("http://127.0.0.1:1/v1") } : backend);

        Assert.Equal((200, "b"), ((await stage.AskAsync()) is var heard ? heard.Status : 0, heard.Backend));
    }

    [Fact]
    public async Task Chat_NoFallbackOnFailure_FirstFailureIsFinal()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat(Good), options => options with { FallbackOnFailure = false });

        var heard = await stage.AskAsync();

        Assert.Equal((500, "1"), (heard.Status, heard.Attempts));
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Files_Reset_NotRepeated()
    {
        await using var stage = await Stage.PeersAsync(Scripts.ResetBeforeHeaders, Scripts.Respond(200, "{}"));

        var heard = await stage.PostAsync("/v1/files", "{}");

        Assert.Equal((502, "1"), (heard.Status, heard.Attempts));
        Assert.Empty(stage.B.Requests);
    }

    [Fact]
    public async Task Files_Refused_PeerTakesIt()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Hang, Scripts.Respond(200, "{}"), shape: (index, backend) => index == 0 ? backend with { BaseUrl = new Uri("http://127.0.0.1:1/v1") } : backend);

        var heard = await stage.PostAsync("/v1/files", "{}");

        Assert.Equal((200, "b", "2"), (heard.Status, heard.Backend, heard.Attempts));
    }

    [Fact]
    public async Task Chat_OneIsDownAndTheOtherLacksTheModel_NotToldThatTheModelDoesNotExist()
    {
        await using var stage = await Stage.PeersAsync(
            Scripts.Hang,
            Scripts.ErrorBody(404, "model_not_found", "The model `m` does not exist."),
            shape: (index, backend) => index == 0 ? backend with { BaseUrl = new Uri("http://127.0.0.1:1/v1") } : backend);

        var heard = await stage.AskAsync();

        Assert.Equal((503, "no_healthy_backend"), (heard.Status, heard.ErrorCode));
    }

    [Fact]
    public async Task Chat_NobodyHasTheModel_ModelNotFound()
    {
        var absent = Scripts.ErrorBody(404, "model_not_found", "The model `m` does not exist.");
        await using var stage = await Stage.PeersAsync(absent, absent);

        var heard = await stage.AskAsync();
        var again = await stage.AskAsync();

        Assert.Equal((404, "model_not_found", "invalid_request_error"), (heard.Status, heard.ErrorCode, heard.Error.GetProperty("type").GetString()));
        Assert.Equal((404, "model_not_found"), (again.Status, again.ErrorCode));
        Assert.Equal((1, 1), (stage.A.Requests.Count, stage.B.Requests.Count));
    }

    [Fact]
    public async Task Chat_ContextTooLongEverywhere_FirstBackendsOwnAnswer()
    {
        await using var stage = await Stage.GroupsAsync(
            Scripts.ErrorBody(400, "context_length_exceeded", "At most 4096 tokens."), Scripts.ErrorBody(400, "context_length_exceeded", "At most 8192 tokens."));

        var heard = await stage.AskAsync();

        Assert.Equal((400, "At most 4096 tokens.", "a"), (heard.Status, heard.Error.GetProperty("message").GetString(), heard.Backend));
        Assert.Equal((1, 1), (stage.A.Requests.Count, stage.B.Requests.Count));
        Assert.Equal((0, 0), (await stage.FailuresAsync("a"), await stage.FailuresAsync("b")));
    }

    [Fact]
    public async Task Chat_CredentialsRefusedEverywhere_NoClientSeesA401()
    {
        await using var stage = await Stage.PeersAsync(Scripts.ErrorBody(401, "invalid_api_key", "Who?"), Scripts.ErrorBody(403, null, "Who?"));

        var heard = await stage.AskAsync();

        Assert.Equal((502, "backend_misconfigured"), (heard.Status, heard.ErrorCode));
        Assert.DoesNotContain("Who?", heard.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chat_EverybodyIsLimited_SoonestRetryAfter()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(429, 20), Scripts.Status(429, 60));

        var heard = await stage.AskAsync();

        Assert.Equal((429, "20"), (heard.Status, heard.Header("Retry-After")));
    }
}
