using System.Collections.Concurrent;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Callers that block, cancel or dispose: nothing hangs, and nothing goes on.</summary>
public class LoadBalancerLifetimeTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Message[] Hello => [new("user", "Hello!")];

    [Fact]
    public async Task Chat_OnASingleThreadedContext_DoesNotDeadlock()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        using var context = new OneThread();

        var result = await Await.For(context.RunAsync(() =>
        {
            using var balancer = Balancers.Over(upstream);
            var chat = balancer.Chat([new("user", "Hello!")]);
            balancer.GetStats();
            return chat;
        }), "a synchronous call on a thread with a context of its own");

        Assert.True(result.Success);
    }

    [Fact]
    public async Task ChatAsync_AwaitedByABlockedContext_NeedsNothingOfIt()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);
        using var context = new OneThread();

        var result = await Await.For(context.RunAsync(() => balancer.ChatAsync([new("user", "Hello!")]).GetAwaiter().GetResult()), "an asynchronous call that its thread waits for");

        Assert.True(result.Success);
    }

    [Fact]
    public async Task Chat_FromEveryThreadOfThePool_DoesNotStarve()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(upstream);

        var results = await Await.For(Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => balancer.Chat(Hello)))), "all synchronous calls", TimeSpan.FromSeconds(30));

        Assert.All(results, result => Assert.True(result.Success));
    }

    [Fact]
    public async Task ChatAsync_Cancelled_ThrowsAndFreesTheUpstream()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var balancer = Balancers.Over(upstream);
        using var cancel = new CancellationTokenSource();
        var asking = balancer.ChatAsync(Hello, cancellationToken: cancel.Token);
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await Await.For(upstream.Requests[0].Left, "the upstream to see its connection closed");
    }

    [Fact]
    public async Task Dispose_CallsUnderWay_EndsThemAndFreesTheUpstreams()
    {
        await using var upstream = ScriptedUpstream.Start((request, connection, cancellationToken) =>
            (request.WantsStream ? Scripts.StreamThen([ScriptedChat.Role(), ScriptedChat.Content("on")], stream => stream.HangAsync()) : Scripts.Hang)(request, connection, cancellationToken));
        var balancer = Balancers.Over(upstream);
        var asking = balancer.ChatAsync(Hello, cancellationToken: Token);
        await using var reading = balancer.StreamAsync(Hello, cancellationToken: Token).GetAsyncEnumerator(Token);
        await reading.MoveNextAsync();
        var next = reading.MoveNextAsync().AsTask();
        await Await.Until(() => upstream.Requests.Count == 2, "both requests have arrived");

        await Await.For(balancer.DisposeAsync().AsTask(), "the balancer's end");

        await Assert.ThrowsAsync<ObjectDisposedException>(() => asking);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => next);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => balancer.ChatAsync(Hello, cancellationToken: Token));
        Assert.Throws<ObjectDisposedException>(() => balancer.CreateHandler());
        Assert.Throws<ObjectDisposedException>(() => balancer.GetStats());
        await Await.Until(() => upstream.Requests.All(request => request.LeftEarly), "the upstream has seen both connections closed");
        balancer.Dispose();
    }

    [Fact]
    public async Task Dispose_NeverCalled_Ends()
    {
        var balancer = new LoadBalancer([new Endpoint("http://127.0.0.1:1")]);

        await Await.For(Task.Run(balancer.Dispose, Token), "the balancer's end");
    }

    /// <summary>A thread with a synchronization context that runs everything on it, as user interfaces have.</summary>
    private sealed class OneThread : SynchronizationContext, IDisposable
    {
        private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _work = [];

        public OneThread() => new Thread(() =>
        {
            SetSynchronizationContext(this);
            foreach (var (callback, state) in _work.GetConsumingEnumerable())
            {
                callback(state);
            }
        })
        { IsBackground = true }.Start();

        public override void Post(SendOrPostCallback d, object? state) => _work.Add((d, state));

        public Task<T> RunAsync<T>(Func<T> work)
        {
            var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
            Post(_ =>
            {
                try
                {
                    done.SetResult(work());
                }
                catch (Exception exception)
                {
                    done.SetException(exception);
                }
            }, null);
            return done.Task;
        }

        public void Dispose() => _work.CompleteAdding();
    }
}
