using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Waiting beats failing: full and parked backends are waited for, fairly, and as long as it is worth it.</summary>
public sealed class QueueFaultsTests
{
    [Fact]
    public async Task Chat_BackendFull_WaitersAreServedInTheOrderTheyCame()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var stage = await Stage.AloneAsync(
            Scripts.After(gate.Task, Scripts.Chat("Hi")),
            options => options with { MaxQueueWait = TimeSpan.FromSeconds(60) },
            (_, backend) => backend with { MaxConnections = 1 });
        var queue = stage.Balancer.Service<WaitQueue>();
        var asking = new List<Task<Heard>>();
        for (var i = 0; i < 5; i++)
        {
            asking.Add(stage.PostAsync("/v1/chat/completions", new { model = "m", user = $"{i}", messages = Array.Empty<object>() }));
            var waiting = i;
            await Await.Until(() => stage.A.Requests.Count == 1 && queue.Waiting == waiting, "the request holds the place or waits for it");
        }

        gate.SetResult();

        var heard = await Await.For(Task.WhenAll(asking), "all answers");
        Assert.All(heard, answer => Assert.Equal((200, "1"), (answer.Status, answer.Attempts)));
        Assert.Equal(["0", "1", "2", "3", "4"], stage.A.Requests.Select(request => request.Property("user")!.Value.GetString()));
        Assert.Equal(0, queue.Waiting);
    }

    [Fact]
    public async Task Chat_BackendFullTooLong_503WithRetryAfter()
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.Hang, options => options with { MaxQueueWait = TimeSpan.FromMilliseconds(400) }, (_, backend) => backend with { MaxConnections = 1 });
        var first = stage.AskAsync();
        await Await.Until(() => stage.A.Requests.Count == 1, "the place is taken");

        var heard = await stage.AskAsync();

        Assert.Equal((503, "backends_busy", "1"), (heard.Status, heard.ErrorCode, heard.Header("Retry-After")));
        Assert.Equal("0", heard.Attempts);
        await stage.A.KillAsync();
        await first;
    }

    [Fact]
    public async Task Chat_QueueFull_RefusedAtOnce()
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.Hang,
            options => options with { MaxQueueLength = 1, MaxQueueWait = TimeSpan.FromSeconds(100), RetryCount = 0 },
            (_, backend) => backend with { MaxConnections = 1 });
        var first = stage.AskAsync();
        await Await.Until(() => stage.A.Requests.Count == 1, "the place is taken");
        var second = stage.AskAsync();
        await Await.Until(() => stage.Balancer.Service<WaitQueue>().Waiting == 1, "the queue is full");

        var heard = await Await.For(stage.AskAsync(), "the refusal");

        Assert.Equal((503, "backends_busy"), (heard.Status, heard.ErrorCode));
        await stage.A.KillAsync();
        await Task.WhenAll(first, second);
    }

    [Fact]
    public async Task Chat_BackendParkedShortly_WaitedFor()
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.Sequence(Scripts.ErrorBody(429, "rate_limit_exceeded", "Slow down.", ("retry-after-ms", "2000")), Scripts.Chat("Hi")),
            options => options with { RetryCount = 0 });

        var first = await stage.AskAsync();
        var second = await stage.AskAsync();

        Assert.Equal((429, 200, "1"), (first.Status, second.Status, second.Attempts));
        Assert.True(stage.A.Gap(stage.A.Requests[0], stage.A.Requests[1]) >= TimeSpan.FromMilliseconds(1950));
    }

    [Fact]
    public async Task Chat_BackendParkedForLong_429WithTheTrueRetryAfterWithoutAsking()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Status(429, 600));

        await stage.AskAsync();
        var heard = await stage.AskAsync();

        Assert.Equal((429, "rate_limit_exceeded"), (heard.Status, heard.ErrorCode));
        Assert.InRange(int.Parse(heard.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 400, 600);
        Assert.Single(stage.A.Requests);
    }

    [Fact]
    public async Task Chat_ParkedPastTheClientsTime_NotWaitedFor()
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.ErrorBody(429, "rate_limit_exceeded", "Slow down.", ("retry-after-ms", "4500")), options => options with { TotalTimeout = TimeSpan.FromSeconds(1) });

        await stage.AskAsync();
        var heard = await stage.AskAsync();

        Assert.Equal(429, heard.Status);
        Assert.Single(stage.A.Requests);
    }

    [Fact]
    public async Task Chat_WaitingClientLeaves_ItsPlaceInTheQueueIsFreed()
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.Hang, options => options with { MaxQueueWait = TimeSpan.FromSeconds(100), RetryCount = 0 }, (_, backend) => backend with { MaxConnections = 1 });
        var first = stage.AskAsync();
        await Await.Until(() => stage.A.Requests.Count == 1, "the place is taken");
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var content = new StringContent(BalancerHost.ChatJson(), System.Text.Encoding.UTF8, "application/json");
        var second = stage.Balancer.Http.PostAsync("/v1/chat/completions", content, leaving.Token);
        await Await.Until(() => stage.Balancer.Service<WaitQueue>().Waiting == 1, "the second waits");

        await leaving.CancelAsync();

        await Await.Until(() => stage.Balancer.Service<WaitQueue>().Waiting == 0, "the queue is empty");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        await stage.A.KillAsync();
        await first;
        Assert.Single(stage.A.Requests);
    }
}
