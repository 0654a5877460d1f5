using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Simulation;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Each strategy's shares, over HTTP: exact where the algorithm is, within bounds elsewhere.</summary>
public sealed class DistributionTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly ScriptedUpstream[] _upstreams = [.. Enumerable.Range(0, 3).Select(_ => ScriptedUpstream.Start(Scripts.Chat("ok")))];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var upstream in _upstreams)
        {
            await upstream.DisposeAsync();
        }
    }

    [Fact]
    public async Task RoundRobin_OneAfterTheOther_IsExact()
    {
        await using var host = await StartAsync("round_robin", 1, 1, 1);

        var order = await AskAsync(host, 1_200);

        Assert.Equal(string.Concat(Enumerable.Repeat("abc", 400)), order);
    }

    [Fact]
    public async Task RoundRobin_ManyAtOnce_IsEvenToTheRequest()
    {
        await using var host = await StartAsync("round_robin", 1, 1, 1);

        var order = string.Concat(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync(host, 150))));

        Assert.Equal([1_000, 1_000, 1_000], Shares(order));
    }

    [Fact]
    public async Task WeightedRoundRobin_FiveOneOne_InterleavesExactly()
    {
        await using var host = await StartAsync("weighted", 5, 1, 1);

        var order = await AskAsync(host, 2_100);

        Assert.Equal(string.Concat(Enumerable.Repeat("aabacaa", 300)), order);
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(5, 3, 2)]
    public async Task LeastConnections_AllHeld_FillsByWeightExactly(int a, int b, int c)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Array.ForEach(_upstreams, upstream => upstream.Script = Scripts.After(gate.Task, Scripts.Chat("ok")));
        await using var host = await StartAsync("least_connections", a, b, c);
        var total = 10 * (a + b + c);

        var asking = Task.WhenAll(Enumerable.Range(0, total).Select(_ => AskAsync(host, 1)));
        await Await.Until(() => _upstreams.Sum(upstream => upstream.Requests.Count) == total, "all are held", Limit);
        gate.SetResult();

        Assert.Equal([10 * a, 10 * b, 10 * c], Shares(string.Concat(await asking)));
    }

    [Fact]
    public async Task LeastConnections_NothingHeld_DoesNotPreferTheFirst()
    {
        await using var host = await StartAsync("least_conn", 1, 1, 1);

        var shares = Shares(await AskAsync(host, 900));

        Assert.All(shares, share => Assert.InRange(share, 200, 400));
    }

    [Fact]
    public async Task Random_Weighted_IsWithinFiveDeviations()
    {
        await using var host = await StartAsync("random", 3, 2, 1);

        var order = string.Concat(await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => AskAsync(host, 180))));

        // 3,600 draws: 1,800 ± 30, 1,200 ± 28.3, 600 ± 22.4 (one deviation).
        var shares = Shares(order);
        Assert.InRange(shares[0], 1_650, 1_950);
        Assert.InRange(shares[1], 1_058, 1_342);
        Assert.InRange(shares[2], 488, 712);
        Assert.DoesNotContain("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", order, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("header")]
    [InlineData("prompt_cache_key")]
    [InlineData("user")]
    [InlineData("prompt")]
    public async Task ConsistentHash_SameKey_SameBackendAndLeavingMovesOnlyItsOwn(string by)
    {
        const int Keys = 200;
        await using var host = await StartAsync("consistent_hash", 1, 1, 1);
        var homes = await HomesAsync(host, by, Enumerable.Range(0, Keys));

        var again = await HomesAsync(host, by, Enumerable.Range(0, Keys).Reverse());
        Assert.Equal(homes, new string([.. again.Reverse()]));
        Assert.All(Shares(homes), share => Assert.InRange(share, Keys / 6, Keys / 2));

        host.Pools.Swap(host.Pools.Current.Options with { Backends = host.Pools.Current.Backends.RemoveAt(1) });
        var without = await HomesAsync(host, by, Enumerable.Range(0, Keys));

        Assert.All(homes.Zip(without), pair => Assert.Equal(pair.First == 'b', pair.First != pair.Second));
        Assert.Contains(homes.Zip(without), pair => pair is ('b', 'a'));
        Assert.Contains(homes.Zip(without), pair => pair is ('b', 'c'));
    }

    [Fact]
    public async Task ConsistentHash_HomeDies_OthersStay()
    {
        await using var host = await StartAsync("consistent_hash", 1, 1, 1);
        var homes = await HomesAsync(host, "header", Enumerable.Range(0, 60));

        await _upstreams[2].KillAsync();
        var without = await HomesAsync(host, "header", Enumerable.Range(0, 60));

        Assert.DoesNotContain('c', without);
        Assert.All(homes.Zip(without).Where(pair => pair.First != 'c'), pair => Assert.Equal(pair.First, pair.Second));
    }

    [Fact]
    public async Task ConsistentHash_OneHotKey_StaysWithinItsBound()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Array.ForEach(_upstreams, upstream => upstream.Script = Scripts.After(gate.Task, Scripts.Chat("ok")));
        await using var host = await StartAsync("consistent_hash", 1, 1, 1);

        var asking = Task.WhenAll(Enumerable.Range(0, 60).Select(_ => AskAsync(host, 1, ("X-Session-Id", "hot"))));
        await Await.Until(() => _upstreams.Sum(upstream => upstream.Requests.Count) == 60, "all are held", Limit);
        gate.SetResult();

        // 1.25 of a third of 60 is 25.
        Assert.All(Shares(string.Concat(await asking)), share => Assert.InRange(share, 10, 25));
    }

    [Fact]
    public async Task ResponseTime_OneSlow_GetsLittleButSome()
    {
        var slow = await SimulatedBackend.StartAsync(new SimulatedBackend { FirstTokenDelay = TimeSpan.FromMilliseconds(200) }, TimeProvider.System, TestContext.Current.CancellationToken);
        await using var disposing = slow;
        await using var host = await StartAsync("response_time", (index, backend) => index == 2 ? backend with { BaseUrl = slow.BaseUrl } : backend);

        var order = string.Concat(await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => AskAsync(host, 300))));

        var shares = Shares(order);
        Assert.InRange(shares[2], 1, 120);
        Assert.All(shares[..2], share => Assert.InRange(share, 240, 960));
    }

    [Fact]
    public async Task ResponseTime_OneFailsFast_IsNotTakenForFast()
    {
        _upstreams[2].Script = Scripts.Status(500);
        await using var host = await StartAsync("response_time", (_, backend) => backend);

        var order = await AskAsync(host, 600);

        Assert.Equal(0, Shares(order)[2]);
        Assert.InRange(_upstreams[2].Requests.Count, 1, 90);
    }

    private Task<BalancerHost> StartAsync(string strategy, params int[] weights) => StartAsync(strategy, (index, backend) => backend with { Weight = weights[index] });

    private Task<BalancerHost> StartAsync(string strategy, Func<int, Backend, Backend> shape) => BalancerHost.StartAsync(
        new BalancerOptions
        {
            Backends = [.. _upstreams.Select((upstream, index) => shape(index, new Backend { Name = $"{(char)('a' + index)}", BaseUrl = upstream.BaseUrl, MaxConnections = 1_000 }))],
            Strategy = strategy,
            HealthCheckEnabled = false,
            // Only the strategy decides, neither circuits nor the retry budget.
            FailureThreshold = 1_000_000,
            FailureRatioMinimum = 1_000_000,
            RetryBudgetFloor = 1_000_000,
        },
        services => services.AddSingleton(new Chance(7)));

    private static int[] Shares(string order) => [order.Count(name => name == 'a'), order.Count(name => name == 'b'), order.Count(name => name == 'c')];

    /// <summary>Asks one after the other; the names of those who answered.</summary>
    private static async Task<string> AskAsync(BalancerHost host, int times, params (string Name, string Value)[] headers)
    {
        var order = new char[times];
        for (var i = 0; i < times; i++)
        {
            using var response = await host.ChatAsync(headers: headers);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            order[i] = response.Headers.GetValues("X-Backend").Single()[0];
        }

        return new string(order);
    }

    /// <summary>Who answers each key, asked while nothing else is in flight, so that the bound on loads moves none.</summary>
    private static async Task<string> HomesAsync(BalancerHost host, string by, IEnumerable<int> keys)
    {
        var homes = new List<char>();
        foreach (var key in keys)
        {
            await host.SettledAsync();
            var name = key.ToString(CultureInfo.InvariantCulture);
            var prompt = by == "prompt" ? $"prompt {name}" : "always the same";
            var field = by is "prompt_cache_key" or "user" ? $"\"{by}\":\"{name}\"," : "";
            var json = $$"""{"model":"m",{{field}}"messages":[{"role":"user","content":"{{prompt}}"}]}""";
            using var response = await host.PostAsync("/v1/chat/completions", json, by == "header" ? [("X-Session-Id", name)] : []);
            await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            homes.Add(response.Headers.GetValues("X-Backend").Single()[0]);
        }

        return new string([.. homes]);
    }
}
