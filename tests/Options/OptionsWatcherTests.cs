using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Options;

public sealed class OptionsWatcherTests : IDisposable
{
    private const string One = "endpoints: [{url: 'http://a'}]\n";
    private const string Two = "endpoints: [{url: 'http://a'}, {url: 'http://b'}]\n";

    private readonly Setup _setup = Setup.Yaml(One);
    private readonly ManualTime _time = new();
    private readonly Lines _log = new();
    private int _written;

    public void Dispose() => _setup.Dispose();

    [Fact]
    public async Task Look_ValidChange_SwapsOnce()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Write(Two);
            Settle();
            Settle();
            Assert.Equal((2, 2), (pools.Current.Version, pools.Current.Backends.Length));
            Assert.Equal([1000], _log.Events);
        }
    }

    [Fact]
    public async Task Look_FileStillBeingWritten_WaitsUntilItRests()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Settle();
            for (var i = 0; i < 5; i++)
            {
                Write($"timeout: {i + 1}\n{Two}");
                _time.Advance(OptionsWatcher.Period);
                Assert.Equal(1, pools.Current.Version);
            }

            _time.Advance(OptionsWatcher.Period);
            Assert.Equal((2, 5), (pools.Current.Version, pools.Current.Backends[0].Timeout.TotalSeconds));
        }
    }

    [Fact]
    public async Task Look_InvalidChange_IsReportedOnceAndIgnored()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Write("retry_count: x\nendpoints: [{url: nope, api_key: sk-secret}]");
            Settle();
            Settle();
            Touch();
            Settle();
            Assert.Equal(1, pools.Current.Version);
            Assert.Equal([1001], _log.Events);
            Assert.Contains("retry_count", _log.Text, StringComparison.Ordinal);
            Assert.Contains("endpoints[0].url", _log.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("sk-secret", _log.Text, StringComparison.Ordinal);

            Write(Two);
            Settle();
            Assert.Equal(2, pools.Current.Version);
        }
    }

    [Fact]
    public async Task Look_SameInvalidContentAfterAnother_IsReportedAgain()
    {
        var (_, watcher) = await StartAsync();
        using (watcher)
        {
            foreach (var text in new[] { "x: 1", "y: 1", "x: 1" })
            {
                Write(text);
                Settle();
            }

            Assert.Equal([1001, 1001, 1001], _log.Events);
        }
    }

    [Fact]
    public async Task Look_TouchedFile_DoesNothing()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Settle();
            Touch();
            Settle();
            Assert.Equal(1, pools.Current.Version);
            Assert.Empty(_log.Events);
        }
    }

    [Fact]
    public async Task Look_FileGoneAndBack_IsReportedOnceAndKeepsThePool()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            File.Delete(_setup.PathOf("config.yaml"));
            Settle();
            Settle();
            Assert.Equal([1001], _log.Events);
            Write(One);
            Settle();
            Assert.Equal(1, pools.Current.Version);
            Write(Two);
            Settle();
            Assert.Equal(2, pools.Current.Version);
        }
    }

    [Fact]
    public async Task Look_ChangeBetweenLoadAndStart_IsFound()
    {
        var loader = _setup.Loader();
        var initial = loader.Load();
        Write(Two);
        var (pools, watcher) = await StartAsync(loader, initial);
        using (watcher)
        {
            Settle();
            Assert.Equal(2, pools.Current.Backends.Length);
        }
    }

    [Fact]
    public async Task Look_OverridesInEnvironment_StillWin()
    {
        _setup.Environment["MAX_RETRIES"] = "9";
        _setup.Arguments.AddRange(["--strategy", "consistent_hash"]);
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Write("retry_count: 1\nstrategy: round_robin\n" + Two);
            Settle();
            Assert.Equal((9, "consistent_hash"), (pools.Current.Options.RetryCount, pools.Current.Options.Strategy));
        }
    }

    [Fact]
    public async Task Look_OtherListeningAddress_WarnsAndSwaps()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Write("port: 6000\n" + Two);
            Settle();
            Assert.Equal(2, pools.Current.Version);
            Assert.Equal([1003, 1000], _log.Events);
        }
    }

    [Fact]
    public async Task Look_LinkedFileSwitched_IsFound()
    {
        Directory.CreateDirectory(_setup.PathOf("v1"));
        Directory.CreateDirectory(_setup.PathOf("v2"));
        File.WriteAllText(_setup.PathOf("v1/c.yaml"), One);
        File.WriteAllText(_setup.PathOf("v2/c.yaml"), Two);
        Directory.CreateSymbolicLink(_setup.PathOf("data"), "v1");
        File.CreateSymbolicLink(_setup.PathOf("c.yaml"), "data/c.yaml");
        _setup.Arguments.AddRange(["--config", "c.yaml"]);
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            Settle();
            Directory.Delete(_setup.PathOf("data"));
            Directory.CreateSymbolicLink(_setup.PathOf("data"), "v2");
            Settle();
            Assert.Equal(2, pools.Current.Backends.Length);
        }
    }

    [Fact]
    public async Task Look_SubscriberThrows_IsReportedAndTheNextChangeCounts()
    {
        var (pools, watcher) = await StartAsync();
        using (watcher)
        {
            pools.Changed += (_, after) => _ = after.Version == 2 ? throw new InvalidOperationException("a bug elsewhere") : after;
            Write(Two);
            Settle();
            Write(One + "timeout: 2\n");
            Settle();
            Assert.Equal(3, pools.Current.Version);
            Assert.Equal([1004, 1000], _log.Events);
        }
    }

    [Fact]
    public async Task StartAsync_NoFile_StartsNoTimer()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"));
        var (_, watcher) = await StartAsync(setup.Loader(), setup.Load());
        watcher.Dispose();
        Assert.Equal(0, _time.Waiting);
    }

    [Fact]
    public async Task StopAsync_Started_LooksNoMore()
    {
        var (pools, watcher) = await StartAsync();
        await watcher.StopAsync(TestContext.Current.CancellationToken);
        Write(Two);
        Settle();
        Assert.Equal((1, 0), (pools.Current.Version, _time.Waiting));
        watcher.Dispose();
    }

    private Task<(PoolSource Pools, OptionsWatcher Watcher)> StartAsync() => StartAsync(_setup.Loader(), _setup.Load());

    private async Task<(PoolSource Pools, OptionsWatcher Watcher)> StartAsync(OptionsLoader loader, OptionsResult initial)
    {
        var pools = new PoolSource(initial.Options!);
        var watcher = new OptionsWatcher(loader, initial, pools, _time, _log);
        await watcher.StartAsync(TestContext.Current.CancellationToken);
        return (pools, watcher);
    }

    /// <summary>Writes with a write time of its own, since two writes of a test may fall into one tick of the file system's clock.</summary>
    private void Write(string text)
    {
        File.WriteAllText(_setup.PathOf("config.yaml"), text);
        Touch();
    }

    private void Touch() => File.SetLastWriteTimeUtc(_setup.PathOf("config.yaml"), new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddSeconds(++_written));

    private void Settle()
    {
        _time.Advance(OptionsWatcher.Period);
        _time.Advance(OptionsWatcher.Period);
    }

    private sealed class Lines : ILogger<OptionsWatcher>
    {
        public List<int> Events { get; } = [];

        public string Text { get; private set; } = "";

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Events.Add(eventId.Id);
            Text += formatter(state, exception) + "\n";
        }
    }
}
