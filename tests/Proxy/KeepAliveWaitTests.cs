using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class KeepAliveWaitTests
{
    [Fact]
    public async Task WhileAsync_WorkEndsAsThePeriodDoes_GivesItsResult()
    {
        var time = new ManualTime();
        var work = new TaskCompletionSource<int>();
        var keepAlive = new KeepAlive(new DefaultHttpContext(), "req_test", TimeSpan.FromSeconds(15), time);
        var held = new HeldContext();
        var waiting = held.Begin(() => keepAlive.WhileAsync(work.Task));

        time.Advance(TimeSpan.FromSeconds(15));
        work.SetResult(7);
        held.Run();

        Assert.Equal(7, await Await.For(waiting, "the result"));
    }
}
