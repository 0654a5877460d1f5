using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class HedgingTests
{
    [Fact]
    public async Task Chat_SilentBackend_IsOvertakenForAShareOfTheRequestsOnly()
    {
        const int requests = 40;
        var time = new ManualTime();
        var gate = new TaskCompletionSource();
        await using var a = ScriptedUpstream.Start(Scripts.After(gate.Task, Scripts.Chat("from a")));
        await using var b = ScriptedUpstream.Start(Scripts.Chat("from b"));
        var options = new BalancerOptions
        {
            Backends = [new Backend { Name = "a", BaseUrl = a.BaseUrl }, new Backend { Name = "b", BaseUrl = b.BaseUrl, Priority = 1 }],
            HealthCheckEnabled = false,
            HedgeAfter = TimeSpan.FromSeconds(1),
            HedgeRatio = 0.05,
        };
        await using var host = await BalancerHost.StartAsync(options, services => services.AddSingleton<TimeProvider>(time));
        var answers = Enumerable.Range(0, requests).Select(_ => host.ChatAsync()).ToArray();

        // Each has the attempt's own timer and the wait for a rival.
        await Await.Until(() => a.Requests.Count == requests && time.Waiting >= 2 * requests, "all wait for a");
        time.Advance(TimeSpan.FromSeconds(1.1));
        await Await.Until(() => answers.Count(answer => answer.IsCompleted) == 2, "b has answered two of forty");
        await Await.Until(() => a.Requests.Count(request => request.LeftEarly) == 2, "a is rid of them");
        gate.SetResult();
        foreach (var answer in await Await.For(Task.WhenAll(answers), "all answers"))
        {
            Assert.Equal(200, (int)answer.StatusCode);
            answer.Dispose();
        }

        Assert.Equal((requests, 2), (a.Requests.Count, b.Requests.Count));
    }

    [Theory]
    [InlineData("/v1/files")]
    [InlineData("/v1/batches")]
    public async Task Post_RouteThatMustNotRunTwice_IsNeverHedged(string path)
    {
        var gate = new TaskCompletionSource();
        await using var a = ScriptedUpstream.Start(Scripts.After(gate.Task, Scripts.Respond(200, "{}")));
        await using var b = ScriptedUpstream.Start(Scripts.After(gate.Task, Scripts.Respond(200, "{}")));
        await using var host = await BalancerHost.StartAsync([a, b], options => options with { HedgeAfter = TimeSpan.FromMilliseconds(1), HedgeRatio = 1 });
        var answer = host.PostAsync(path, "{}");
        await Await.Until(() => a.Requests.Count + b.Requests.Count == 1, "one backend has the request");
        gate.SetResult();
        using var response = await answer;
        Assert.Equal((200, 1), ((int)response.StatusCode, a.Requests.Count + b.Requests.Count));
    }
}
