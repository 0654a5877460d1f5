using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.State;

public sealed class InMemoryStateTests
{
    [Fact]
    public async Task AcquireAsync_RoundRobin_EachInTurn()
    {
        var pool = new Pool(
            new BalancerOptions { Backends = [.. "abc".Select(c => new Backend { Name = $"{c}", BaseUrl = new Uri($"http://{c}/v1") })] }, 1);
        var state = new InMemoryState(TimeProvider.System, new Chance(1));
        var names = "";
        for (var i = 0; i < 6; i++)
        {
            var lease = await state.AcquireAsync(new AcquireRequest { Pool = pool }, TestContext.Current.CancellationToken);
            names += lease!.Backend.Name;
            await state.ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.Succeeded));
        }

        Assert.Equal("abcabc", names);
    }
}
