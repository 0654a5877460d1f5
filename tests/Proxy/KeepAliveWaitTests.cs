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
        var before = SynchronizationContext.Current;
        var held = new HeldContext();
        SynchronizationContext.SetSynchronizationContext(held);
        var waiting = keepAlive.WhileAsync(work.Task);
        SynchronizationContext.SetSynchronizationContext(before);

        time.Advance(TimeSpan.FromSeconds(15));
        work.SetResult(7);
        held.Run();

        Assert.Equal(7, await Await.For(waiting, "the result"));
    }

    /// <summary>Keeps what is to go on until it is told to, as a pool does that has no thread free.</summary>
    private sealed class HeldContext : SynchronizationContext
    {
        private readonly Queue<Action> _held = new();

        public override void Post(SendOrPostCallback d, object? state) => _held.Enqueue(() => d(state));

        public void Run()
        {
            while (_held.TryDequeue(out var next))
            {
                next();
            }
        }
    }
}
