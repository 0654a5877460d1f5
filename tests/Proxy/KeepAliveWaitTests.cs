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

    [Fact]
    public Task WhileAsync_SpeakingFails_EndsOnlyWithTheWork() => Task.Run(async () =>
    {
        var time = new ManualTime();
        var work = new TaskCompletionSource<int>();
        var body = new FaultyStream();
        var http = new DefaultHttpContext { Response = { Body = body } };
        var waiting = new KeepAlive(http, "req_test", TimeSpan.FromSeconds(15), time).WhileAsync(work.Task);
        time.Advance(TimeSpan.FromSeconds(15));
        await Await.For(body.Asked.Task, "the comment");

        // What waits for the writing goes on in here, as there is no context to post it to.
        body.Fault.SetException(new NotSupportedException());
        Assert.False(waiting.IsCompleted);
        work.SetResult(7);

        await Assert.ThrowsAsync<NotSupportedException>(() => waiting);
    }, TestContext.Current.CancellationToken);

    /// <summary>Takes nothing, by a fault that no client causes.</summary>
    private sealed class FaultyStream : MemoryStream
    {
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Fault { get; } = new();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Asked.TrySetResult();
            return new(Fault.Task);
        }
    }
}
