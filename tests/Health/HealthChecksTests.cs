using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Health;

public sealed class HealthChecksTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private readonly Forwarder _forwarder = new(TimeProvider.System);
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Hang);
    private readonly InMemoryState _state;
    private PoolSource _pools = null!;
    private HealthChecks? _checks;

    public HealthChecksTests() => _state = new InMemoryState(_time, new Chance(1));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_checks is not null)
        {
            await _checks.StopAsync(CancellationToken.None);
            _checks.Dispose();
        }

        _forwarder.Dispose();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task Start_ProbesAtOnceThenEachIntervalWithinATenth()
    {
        await StartAsync();
        await ProbesAsync(1);
        for (var round = 2; round <= 6; round++)
        {
            _time.Advance(TimeSpan.FromSeconds(26.9));
            Assert.Equal(round - 1, _upstream.Probes.Count);
            _time.Advance(TimeSpan.FromSeconds(6.2));
            await ProbesAsync(round);
        }
    }

    [Fact]
    public async Task PoolChange_IsProbedAtOnce()
    {
        await StartAsync();
        await ProbesAsync(1);
        _pools.Swap(_pools.Current.Options with { FailureThreshold = 5 });
        await ProbesAsync(2);
    }

    [Fact]
    public async Task PoolChange_ThatTurnsProbesOn_StartsThem()
    {
        await StartAsync(options => options with { HealthCheckEnabled = false });
        await Await.Until(() => _time.Waiting == 1, "it sleeps");
        Assert.Empty(_upstream.Probes);
        _pools.Swap(_pools.Current.Options with { HealthCheckEnabled = true });
        await ProbesAsync(1);
    }

    [Fact]
    public async Task SingleBackendMode_IsNotProbed()
    {
        await StartAsync(options => options with { Mode = BalancingMode.SingleBackend });
        await Await.Until(() => _time.Waiting == 1, "it sleeps");
        Assert.Empty(_upstream.Probes);
    }

    [Fact]
    public async Task DeadBackend_DoesNotKeepTheOthersFromBeingProbed()
    {
        await using var dead = ScriptedUpstream.Start(Scripts.Hang);
        await dead.KillAsync();
        await StartAsync(options => options with { Backends = [new Backend { Name = "dead", BaseUrl = dead.BaseUrl }, .. options.Backends] });
        await ProbesAsync(1);
        await Await.Until(() => IsSettledAsync("dead"), "the dead one's probe is settled");
        Assert.Equal(1, (await _state.ReadAsync(Pool.DefaultName, CancellationToken.None)).For("dead").Vitals.ConsecutiveFailures);
    }

    private async Task StartAsync(Func<BalancerOptions, BalancerOptions>? change = null)
    {
        var options = new BalancerOptions { Backends = [new Backend { Name = "a", BaseUrl = _upstream.BaseUrl }], Mode = BalancingMode.SingleBackendBalanced };
        _pools = new PoolSource(change?.Invoke(options) ?? options);
        _checks = new HealthChecks(_pools, new HealthProbe(_state, _forwarder, _time), new ProbeTurn(null), _time, new Chance(1), NullLogger<HealthChecks>.Instance);
        await _checks.StartAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>That many have come, the last is settled, and the checks sleep again. A probe under way has a timer too, so the sleep alone tells nothing.</summary>
    private async Task ProbesAsync(int count)
    {
        await Await.Until(() => _upstream.Probes.Count == count, $"probe {count} comes");
        await Await.Until(() => IsSettledAsync("a"), $"probe {count} is settled");
        await Await.Until(() => _time.Waiting == 1, "the checks sleep");
    }

    private async Task<bool> IsSettledAsync(string backend) =>
        (await _state.ReadAsync(Pool.DefaultName, CancellationToken.None)).For(backend).Totals.LastCheckAtUnixMs == _time.GetUtcNow().ToUnixTimeMilliseconds();
}
