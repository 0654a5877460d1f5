using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Health;

public sealed class ProbeRunTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private readonly Forwarder _forwarder = new(TimeProvider.System);
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
    private readonly PoolSource _pools;
    private readonly ProbeRun _run;

    public ProbeRunTests()
    {
        _pools = new PoolSource(new BalancerOptions { Backends = [new Backend { Name = "a", BaseUrl = _upstream.BaseUrl }], Mode = BalancingMode.SingleBackendBalanced });
        _run = new ProbeRun(_pools, new HealthProbe(new InMemoryState(_time, new Chance(1)), _forwarder, _time), new ProbeTurn(null), _time);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _forwarder.Dispose();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task Run_MoreOftenThanTheInterval_SkipsUntilItIsOver()
    {
        Assert.StartsWith("Probed 1 backends in 0 ms: a succeeded", await _run.RunAsync(Token), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("Skipped: probed 15 s ago, the interval is 30 s", await _run.RunAsync(Token));
        _time.Advance(TimeSpan.FromSeconds(14.9));
        Assert.StartsWith("Probed 1", await _run.RunAsync(Token), StringComparison.Ordinal);
        Assert.Equal(2, _upstream.Probes.Count);
    }

    [Fact]
    public async Task Run_AfterAPoolChange_ProbesAtOnce()
    {
        await _run.RunAsync(Token);
        _pools.Swap(_pools.Current.Options with { FailureThreshold = 5 });
        Assert.StartsWith("Probed 1", await _run.RunAsync(Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_WhileAnotherIsUnderWay_SkipsAndTheOtherEndsWithTheInterval()
    {
        _pools.Swap(_pools.Current.Options with { HealthCheckInterval = TimeSpan.FromSeconds(2) });
        _upstream.ProbeScript = Scripts.Hang;
        var first = _run.RunAsync(Token);
        await Await.Until(() => _upstream.Probes.Count == 1, "the probe arrives");

        Assert.StartsWith("Skipped: the round before", await _run.RunAsync(Token), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(2.1));
        Assert.StartsWith("Stopped:", await Await.For(first, "the end of the first round"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_SwitchedOff_SaysSo()
    {
        _pools.Swap(_pools.Current.Options with { HealthCheckEnabled = false });
        Assert.Contains("switched off", await _run.RunAsync(Token), StringComparison.Ordinal);
        _pools.Swap(_pools.Current.Options with { HealthCheckEnabled = true, Mode = BalancingMode.SingleBackend });
        Assert.Contains("single backend", await _run.RunAsync(Token), StringComparison.Ordinal);
        Assert.Empty(_upstream.Probes);
    }
}
