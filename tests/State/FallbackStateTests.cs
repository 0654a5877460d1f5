using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>Whatever Redis does, every request gets its backend, and every outcome is counted once.</summary>
public sealed class FallbackStateTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static TheoryData<string> Faults => ["stopped", "killed", "flushed", "scripts flushed", "client killed", "read-only", "out of memory", "busy", "loading"];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task AcquireAsync_RedisFails_EveryRequestIsServedAndCountedOnce(string fault)
    {
        await using var server = await RedisServer.StartAsync("--busy-reply-threshold", "20", "--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024");
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.SharedAsync();
        var early = await instance.AcquireAsync();
        var streaming = await instance.AcquireAsync();
        await instance.ServeAsync(20);
        await BreakAsync(server, fault);
        await instance.ServeAsync(10);
        var meanwhile = await instance.AcquireAsync();
        Assert.True(instance.State.IsFallenBack || fault is "flushed" or "scripts flushed" or "client killed", "memory serves");
        await instance.ReleaseAsync(early);
        await MendAsync(server, fault);
        await instance.SharedAsync();
        await instance.ReleaseAsync(meanwhile);
        await instance.ServeAsync(10);
        await instance.ReleaseAsync(streaming);

        // A store that lost everything may have lost what was counted before; nothing else may be lost, and nothing counted twice.
        var all = 43;
        var least = fault is "killed" or "flushed" ? 10 : all;
        long counted, held;
        var began = TimeProvider.System.GetTimestamp();
        do
        {
            var backends = (await instance.State.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
            (counted, held) = (backends.Sum(backend => backend.Totals.Requests), backends.Sum(backend => backend.Vitals.InFlight));
        }
        while ((counted < least || counted > all || held != 0 || instance.State.IsFallenBack) && TimeProvider.System.GetElapsedTime(began) < Patience);

        Assert.InRange(counted, least, all);
        Assert.Equal(0, held);
    }

    [Fact]
    public async Task AcquireAsync_ReplicaIsPromotedAtTheSameAddress_GoesOnWithWhatItHas()
    {
        await using var server = await RedisServer.StartAsync();
        await using var replica = await RedisServer.StartAsync("--repl-diskless-sync-delay", "0");
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.SharedAsync();
        await instance.ServeAsync(20);
        await FollowAsync(replica, server);
        await server.SendAsync("WAIT", "1", "5000");
        await replica.SendAsync("REPLICAOF", "NO", "ONE");
        await server.KillAsync();
        await instance.ServeAsync(5);
        Assert.True(instance.State.IsFallenBack);

        // The address leads to another server, which is a replica at first.
        await server.StartAgainAsync();
        await FollowAsync(server, replica);
        await instance.ServeAsync(5);
        await server.SendAsync("REPLICAOF", "NO", "ONE");
        await instance.SharedAsync();
        await instance.ServeAsync(5);
        var known = (await instance.State.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
        Assert.Equal((35L, 0), (known.Sum(backend => backend.Totals.Requests), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task AcquireAsync_NoRedisAtStart_ServesFromConfigurationAndSharesWhenItComes()
    {
        var server = await RedisServer.StartAsync();
        await using var _ = server;
        await server.KillAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.ServeAsync(10);
        Assert.True(instance.State.IsFallenBack);
        await server.StartAgainAsync();
        await instance.SharedAsync();
        Assert.Equal(10, (await instance.State.ReadAsync(Pool.DefaultName, CancellationToken.None)).Backends.Sum(backend => backend.Totals.Requests));
    }

    [Fact]
    public async Task AcquireAsync_WrongPassword_ServesFromMemoryAndSaysWhy()
    {
        await using var server = await RedisServer.StartAsync("--requirepass", "right");
        await using var instance = new Instance(server.Connection + ",password=wrong-one", TimeSpan.FromMilliseconds(250));
        Assert.Equal("the password is wrong or missing", await instance.Link.ConnectAsync());
        await instance.StartAsync();
        await instance.ServeAsync(10);
        Assert.True(instance.State.IsFallenBack);
        Assert.True(instance.Log.Has("the password is wrong or missing"));
        Assert.False(instance.Log.Has("wrong-one"));
    }

    [Fact]
    public async Task AcquireAsync_RedisFails_HealthAndOwnLoadGoOnInMemory()
    {
        await using var server = await RedisServer.StartAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.SharedAsync();
        for (var i = 0; i < 3; i++)
        {
            await instance.State.ReleaseAsync(await instance.AcquireAsync(only: 0), new AttemptOutcome(OutcomeKind.ServerError));
        }

        var held = await instance.AcquireAsync(only: 1);
        await instance.State.TurnAsync();
        await server.KillAsync();
        await instance.ServeAsync(6);
        var known = await instance.State.ReadAsync(Pool.DefaultName, CancellationToken.None);
        Assert.Equal(Roadbalancer.Health.CircuitState.Open, known.For("a").Vitals.Circuit);
        Assert.Equal(1, known.For("b").Vitals.InFlight);
        await instance.ReleaseAsync(held);
        Assert.Equal(0, (await instance.State.ReadAsync(Pool.DefaultName, CancellationToken.None)).For("b").Vitals.InFlight);
    }

    [Fact]
    public async Task Transitions_RedisGoesAndComes_OneLineEachAndTheMetric()
    {
        await using var server = await RedisServer.StartAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.SharedAsync();
        Assert.Equal(0, instance.Fallback);
        await server.KillAsync();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => instance.ServeAsync(5)));
        Assert.Equal(1, instance.Fallback);
        Assert.Equal(1, instance.Log.Lines.Count(line => line.Contains("does not serve", StringComparison.Ordinal)));
        await server.StartAgainAsync();
        await instance.SharedAsync();
        await Await.Until(() => instance.Fallback == 0, "the metric is back at 0", Patience);
    }

    [Fact]
    public async Task AcquireAsync_OneCallTakesTooLong_MemoryServesThatOneAndTheStateStaysShared()
    {
        await using var server = await RedisServer.StartAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(250));
        await instance.StartAsync();
        await instance.SharedAsync();
        await instance.State.StopAsync(CancellationToken.None);
        await instance.ServeAsync(3);
        await server.SignalAsync("STOP");
        var lease = await instance.AcquireAsync();
        await server.SignalAsync("CONT");
        Assert.False(instance.State.IsFallenBack);
        await instance.ServeAsync(3);
        await instance.ReleaseAsync(lease);
        Assert.False(instance.Log.Has("does not serve"));

        // What the call that was given up may have taken goes back with the next look.
        await instance.State.TurnAsync();
        var known = (await instance.State.ReadAsync(Pool.DefaultName, CancellationToken.None)).Backends;
        Assert.Equal((7L, 0), (known.Sum(backend => backend.Totals.Requests), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task AcquireAsync_ManyAtOnceMeetOnePause_MemoryServesThemAndTheStateStaysShared()
    {
        await using var server = await RedisServer.StartAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(500));
        await instance.StartAsync();
        await instance.SharedAsync();
        await instance.State.StopAsync(CancellationToken.None);
        await instance.ServeAsync(3);
        await server.SignalAsync("STOP");
        var leases = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => instance.AcquireAsync()));
        await server.SignalAsync("CONT");
        Assert.False(instance.State.IsFallenBack);
        await Task.WhenAll(leases.Select(lease => instance.ReleaseAsync(lease).AsTask()));
        await instance.ServeAsync(3);
        Assert.False(instance.Log.Has("does not serve"));
        await instance.State.TurnAsync();
        var known = (await instance.State.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
        Assert.Equal((66L, 0), (known.Sum(backend => backend.Totals.Requests), known.Sum(backend => backend.Vitals.InFlight)));
    }

    [Fact]
    public async Task AcquireAsync_ManyAtOnceMeetOnePause_MemoryKeepsTheLimit()
    {
        await using var server = await RedisServer.StartAsync();
        await using var instance = new Instance(server.Connection, TimeSpan.FromMilliseconds(500), mostConnections: 20);
        await instance.StartAsync();
        await instance.SharedAsync();
        await instance.State.StopAsync(CancellationToken.None);
        await instance.ServeAsync(3);
        await server.SignalAsync("STOP");
        var leases = await Task.WhenAll(Enumerable.Range(0, 400).Select(_ => instance.TryAcquireAsync()));
        await server.SignalAsync("CONT");
        Assert.Equal(40, leases.Count(lease => lease is not null));
    }

    private static async Task BreakAsync(RedisServer server, string fault)
    {
        switch (fault)
        {
            case "stopped":
                await server.SignalAsync("STOP");
                break;
            case "killed":
                await server.KillAsync();
                break;
            case "flushed":
                await server.SendAsync("FLUSHALL");
                break;
            case "scripts flushed":
                await server.SendAsync("SCRIPT", "FLUSH");
                break;
            case "client killed":
                await server.SendAsync("CLIENT", "KILL", "TYPE", "normal");
                break;
            case "read-only":
                await server.SendAsync("REPLICAOF", "127.0.0.1", "1");
                break;
            case "out of memory":
                await server.SendAsync("CONFIG", "SET", "maxmemory", "1");
                break;
            case "loading":
                // As after a restart with a large file: every key takes its time.
                await server.SendAsync("DEBUG", "POPULATE", "2000", "filler", "200");
                await server.SendAsync("CONFIG", "SET", "key-load-delay", "20000");
                _ = server.SendAsync("DEBUG", "RELOAD");
                await Await.Until(() => server.SendAsync("PING").GetAwaiter().GetResult().StartsWith("-LOADING", StringComparison.Ordinal), "the server loads", Patience);
                break;
            case "busy":
                _ = server.SendAsync("EVAL", "while true do end", "0");
                break;
        }
    }

    private static async Task FollowAsync(RedisServer replica, RedisServer master)
    {
        await replica.SendAsync("REPLICAOF", "127.0.0.1", $"{master.Port}");
        await Await.Until(() => replica.SendAsync("INFO", "replication").GetAwaiter().GetResult().Contains("master_link_status:up", StringComparison.Ordinal), "the replica follows", Patience);
    }

    private static async Task MendAsync(RedisServer server, string fault)
    {
        switch (fault)
        {
            case "stopped":
                await server.SignalAsync("CONT");
                break;
            case "killed":
                await server.StartAgainAsync();
                break;
            case "read-only":
                await server.SendAsync("REPLICAOF", "NO", "ONE");
                break;
            case "out of memory":
                await server.SendAsync("CONFIG", "SET", "maxmemory", "0");
                break;
            case "loading":
                await server.SendAsync("CONFIG", "SET", "key-load-delay", "0");
                break;
            case "busy":
                await server.SendAsync("SCRIPT", "KILL");
                break;
        }
    }

    /// <summary>One instance's state over a Redis of the test's.</summary>
    private sealed class Instance : IAsyncDisposable
    {
        private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        private readonly MeterListener _listener = new();
        private readonly BalancerMetrics _metrics;
        private readonly PoolSource _pools;
        private long _fallback = -1;

        public Instance(string connection, TimeSpan timeout, int mostConnections = 100)
        {
            var meters = _services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "roadbalancer.state.fallback")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>((_, value, _, _) => Interlocked.Exchange(ref _fallback, (long)value));
            _listener.Start();
            _metrics = new BalancerMetrics(meters);
            _pools = new PoolSource(new BalancerOptions { Backends = [.. new[] { "a", "b" }.Select(name => Pools.Backend(name) with { MaxConnections = mostConnections })] });
            var logs = LoggerFactory.Create(builder => builder.AddProvider(Log).SetMinimumLevel(LogLevel.Debug));
            Link = new RedisLink(RedisAddress.Parse(connection, out var _)!, timeout, TimeProvider.System, logs.CreateLogger<RedisLink>());
            Shared = new RedisState(Link, "f:", TimeProvider.System, new Chance(3));
            State = new FallbackState(
                Shared, new InMemoryState(TimeProvider.System, new Chance(4)), _pools, _metrics, TimeProvider.System, logs.CreateLogger<FallbackState>());
        }

        public LogLines Log { get; } = new();

        public RedisLink Link { get; }

        public RedisState Shared { get; }

        public FallbackState State { get; }

        /// <summary>The gauge, collected now.</summary>
        public long Fallback
        {
            get
            {
                _listener.RecordObservableInstruments();
                return Interlocked.Read(ref _fallback);
            }
        }

        public Task StartAsync() => State.StartAsync(TestContext.Current.CancellationToken);

        public Task SharedAsync() => Await.Until(() => !State.IsFallenBack, "the state is shared again", Patience);

        public async Task<Lease> AcquireAsync(int? only = null)
        {
            var lease = await State.AcquireAsync(new AcquireRequest { Pool = _pools.Current, Only = only }, TestContext.Current.CancellationToken);
            return lease ?? throw new InvalidOperationException("no backend for a request");
        }

        public Task<Lease?> TryAcquireAsync() => State.AcquireAsync(new AcquireRequest { Pool = _pools.Current }, TestContext.Current.CancellationToken).AsTask();

        public ValueTask ReleaseAsync(Lease lease) => State.ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 5 });

        public async Task ServeAsync(int requests)
        {
            for (var i = 0; i < requests; i++)
            {
                await ReleaseAsync(await AcquireAsync());
            }
        }

        public async ValueTask DisposeAsync()
        {
            await State.StopAsync(CancellationToken.None);
            await Shared.DisposeAsync();
            await Link.DisposeAsync();
            _listener.Dispose();
            _metrics.Dispose();
            await _services.DisposeAsync();
        }
    }
}
