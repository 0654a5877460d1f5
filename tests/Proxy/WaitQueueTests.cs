using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class WaitQueueTests
{
    private readonly ManualTime _time = new();
    private readonly InMemoryState _state;
    private readonly WaitQueue _queue;
    private readonly List<string> _served = [];

    public WaitQueueTests()
    {
        _state = new InMemoryState(_time, new Chance(1));
        _queue = new WaitQueue(_state, _time);
    }

    [Fact]
    public async Task AcquireAsync_FreePlace_IsTakenAtOnce()
    {
        var acquired = await AcquireAsync(Pool(max: 1));
        Assert.Equal("a", acquired.Lease!.Backend.Name);
        Assert.Equal(0, _queue.Waiting);
    }

    [Fact]
    public async Task AcquireAsync_Full_IsServedInTheOrderOfComing()
    {
        var pool = Pool(max: 1);
        var lease = (await AcquireAsync(pool)).Lease!;
        var waiters = new List<Task<Acquisition>>();
        for (var number = 0; number < 5; number++)
        {
            waiters.Add(Serve(pool, $"{number}"));
            await Await.Until(() => _queue.Waiting == number + 1, "the request waits");
        }

        for (var number = 0; number < 5; number++)
        {
            await ReturnAsync(lease);
            lease = (await Await.For(waiters[number], $"waiter {number}")).Lease!;
            Assert.All(waiters.Skip(number + 1), waiter => Assert.False(waiter.IsCompleted));
        }

        Assert.Equal(["0", "1", "2", "3", "4"], _served);
        Assert.Equal(0, _queue.Waiting);
    }

    [Fact]
    public async Task AcquireAsync_WaiterInTheMiddleLeaves_OthersAreServed()
    {
        var pool = Pool(max: 1);
        var lease = (await AcquireAsync(pool)).Lease!;
        using var leaves = new CancellationTokenSource();
        var first = Serve(pool, "first");
        await Await.Until(() => _queue.Waiting == 1, "the first waits");
        var middle = Serve(pool, "middle", http: new DefaultHttpContext { RequestAborted = leaves.Token });
        await Await.Until(() => _queue.Waiting == 2, "the second waits");
        var last = Serve(pool, "last");
        await Await.Until(() => _queue.Waiting == 3, "the third waits");

        await leaves.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => middle);
        Assert.Equal(2, _queue.Waiting);
        await ReturnAsync(lease);
        await ReturnAsync((await Await.For(first, "the first")).Lease!);
        Assert.NotNull((await Await.For(last, "the last")).Lease);
    }

    [Fact]
    public async Task AcquireAsync_FirstWaiterLeaves_TheNextLooks()
    {
        var pool = Pool(max: 1);
        var lease = (await AcquireAsync(pool)).Lease!;
        using var leaves = new CancellationTokenSource();
        var first = Serve(pool, "first", http: new DefaultHttpContext { RequestAborted = leaves.Token });
        await Await.Until(() => _queue.Waiting == 1, "the first waits");
        var next = Serve(pool, "next");
        await Await.Until(() => _queue.Waiting == 2, "the next waits");

        // Given back without a pulse, as by another instance: only the one who moves up can notice.
        await _state.ReleaseAsync(lease, new(OutcomeKind.Succeeded));
        await leaves.CancelAsync();
        Assert.NotNull((await Await.For(next, "the next")).Lease);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
    }

    [Fact]
    public async Task AcquireAsync_PlaceGivenBackElsewhere_IsFoundByPolling()
    {
        var pool = Pool(max: 1);
        var lease = (await AcquireAsync(pool)).Lease!;
        var waiter = Serve(pool, "w");
        await Await.Until(() => _time.Waiting == 1, "it sleeps");
        await _state.ReleaseAsync(lease, new(OutcomeKind.Succeeded));
        _time.Advance(TimeSpan.FromMilliseconds(51));
        Assert.NotNull((await Await.For(waiter, "the waiter")).Lease);
    }

    [Fact]
    public async Task AcquireAsync_QueueFull_IsRefusedAtOnce()
    {
        var pool = Pool(max: 1, length: 1);
        var lease = (await AcquireAsync(pool)).Lease!;
        var waiter = Serve(pool, "w");
        await Await.Until(() => _queue.Waiting == 1, "one waits");
        var refused = await AcquireAsync(pool);
        Assert.Equal((null, RefusalReason.Full), (refused.Lease, refused.Refusal.Reason));
        await ReturnAsync(lease);
        Assert.NotNull((await Await.For(waiter, "the waiter")).Lease);
    }

    [Fact]
    public async Task AcquireAsync_NothingComesFree_IsRefusedAfterTheLongestWait()
    {
        var pool = Pool(max: 1);
        await AcquireAsync(pool);
        var waiters = new[] { Serve(pool, "0"), Serve(pool, "1") };
        await Await.Until(() => _queue.Waiting == 2, "both wait");
        await AdvanceUntil(waiters, TimeSpan.FromMilliseconds(200));
        foreach (var waiter in waiters)
        {
            Assert.Equal((null, RefusalReason.Full), ((await waiter).Lease, (await waiter).Refusal.Reason));
        }

        Assert.Equal(0, _queue.Waiting);
    }

    [Fact]
    public async Task AcquireAsync_NoQueueWait_IsRefusedAtOnce()
    {
        var pool = Pool(max: 1, wait: 0);
        await AcquireAsync(pool);
        Assert.Null((await AcquireAsync(pool)).Lease);
    }

    [Theory]
    [InlineData(2, true)]
    [InlineData(60, false)]
    public async Task AcquireAsync_Parked_WaitsOnlyForWhatComesInTime(int seconds, bool waits)
    {
        var pool = Pool(max: 10);
        await _state.ReleaseAsync((await AcquireAsync(pool)).Lease!, new(OutcomeKind.RateLimited) { RetryAfter = TimeSpan.FromSeconds(seconds) });
        var acquiring = Serve(pool, "w");
        if (!waits)
        {
            var refusal = (await acquiring).Refusal;
            Assert.Equal((RefusalReason.Throttled, TimeSpan.FromSeconds(seconds)), (refusal.Reason, refusal.RetryAfter));
            return;
        }

        await Await.Until(() => _time.Waiting == 1, "it sleeps");
        _time.Advance(TimeSpan.FromSeconds(seconds - 0.1));
        Assert.False(acquiring.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.NotNull((await Await.For(acquiring, "the parked backend")).Lease);
    }

    [Fact]
    public async Task AcquireAsync_RetryThatWaitsForOneBackend_DoesNotHoldUpOthers()
    {
        var pool = Pools.Of(Pools.Backend("a"), Pools.Backend("b") with { MaxConnections = 1 });
        var full = (await _queue.AcquireAsync(Exchanges.Of(pool, _time), new AcquireRequest { Pool = pool, Only = 1 })).Lease!;
        var tried = default(BackendSet);
        tried.Add(0);
        var retry = _queue.AcquireAsync(Exchanges.Of(pool, _time), new AcquireRequest { Pool = pool, Model = "m", Excluded = tried }).AsTask();
        await Await.Until(() => _queue.Waiting == 1, "the retry waits");

        // a is free: a new request for the same model has no reason to wait behind one that may not use it.
        Assert.Equal("a", (await AcquireAsync(pool)).Lease!.Backend.Name);
        await ReturnAsync(full);
        Assert.Equal("b", (await Await.For(retry, "the retry")).Lease!.Backend.Name);
    }

    [Fact]
    public async Task AcquireAsync_OtherModel_IsALaneOfItsOwn()
    {
        var pool = Pools.Of(Pools.Backend("a") with { MaxConnections = 1, Models = Only("m") }, Pools.Backend("b") with { Models = Only("n") });
        await AcquireAsync(pool);
        var waiter = Serve(pool, "m");
        await Await.Until(() => _queue.Waiting == 1, "m waits");
        Assert.Equal("b", (await AcquireAsync(pool, "n")).Lease!.Backend.Name);
        Assert.False(waiter.IsCompleted);
    }

    [Fact]
    public async Task AcquireAsync_RandomComingAndGoing_LosesNoWakeUp()
    {
        for (var seed = 1UL; seed <= 20; seed++)
        {
            // Its clock stands still: only pulses can wake.
            var chance = new Chance(seed);
            var time = new ManualTime();
            var state = new InMemoryState(time, new Chance(seed));
            var queue = new WaitQueue(state, time);
            var pool = Pool(max: 1 + chance.Next(3));
            await Await.For(Task.WhenAll(Enumerable.Range(0, 60).Select(number => UseAsync(number, chance.Next(4)))), $"all requests of seed {seed}");
            Assert.Equal(0, queue.Waiting);
            Assert.Equal(0, (await state.ReadAsync(pool.Name, CancellationToken.None)).Backends.Sum(backend => backend.Vitals.InFlight));

            async Task UseAsync(int number, int yields)
            {
                await Task.Yield();
                using var leaves = new CancellationTokenSource();
                var http = new DefaultHttpContext { RequestAborted = leaves.Token };
                var acquiring = queue.AcquireAsync(Exchanges.Of(pool, time, http), new AcquireRequest { Pool = pool, Model = number % 2 == 0 ? "m" : "n" }).AsTask();
                for (var i = 0; i < yields; i++)
                {
                    await Task.Yield();
                }

                if (number % 7 == 0)
                {
                    await leaves.CancelAsync();
                }

                try
                {
                    var lease = (await acquiring).Lease;
                    Assert.NotNull(lease);
                    await Task.Yield();
                    await state.ReleaseAsync(lease, new(OutcomeKind.Succeeded));
                    queue.Pulse();
                }
                catch (OperationCanceledException)
                {
                    Assert.Equal(0, number % 7);
                }
            }
        }
    }

    private static System.Collections.Frozen.FrozenDictionary<string, string> Only(string model) =>
        System.Collections.Frozen.FrozenDictionary.ToFrozenDictionary(new Dictionary<string, string> { [model] = model });

    private static Pool Pool(int max, int length = 1000, int wait = 5) => Pools.Of(
        new BalancerOptions { MaxQueueLength = length, MaxQueueWait = TimeSpan.FromSeconds(wait) }, Pools.Backend("a") with { MaxConnections = max });

    private ValueTask<Acquisition> AcquireAsync(Pool pool, string model = "m") =>
        _queue.AcquireAsync(Exchanges.Of(pool, _time), new AcquireRequest { Pool = pool, Model = model });

    private async Task<Acquisition> Serve(Pool pool, string name, HttpContext? http = null)
    {
        var acquired = await _queue.AcquireAsync(Exchanges.Of(pool, _time, http), new AcquireRequest { Pool = pool, Model = "m" });
        lock (_served)
        {
            _served.Add(name);
        }

        return acquired;
    }

    private async Task ReturnAsync(Lease lease)
    {
        await _state.ReleaseAsync(lease, new(OutcomeKind.Succeeded));
        _queue.Pulse();
    }

    /// <summary>Moves the clock whenever something sleeps on it, until all of <paramref name="tasks"/> have ended.</summary>
    private Task AdvanceUntil(Task[] tasks, TimeSpan step) => Await.Until(() =>
    {
        _time.Advance(step);
        return Array.TrueForAll(tasks, task => task.IsCompleted);
    }, "the waits are over");
}
