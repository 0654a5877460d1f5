using System.Net;
using System.Net.Sockets;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

/// <summary>What a process knows when it decides about its first request.</summary>
public sealed class RehydrationTests(SharedRedis redis) : IAsyncLifetime
{
    private readonly string _prefix = redis.NextPrefix();
    private readonly ScriptedUpstream _configured = ScriptedUpstream.Start(Scripts.Chat("configured"));
    private readonly ScriptedUpstream _added = ScriptedUpstream.Start(Scripts.Chat("added"));

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _configured.DisposeAsync();
        await _added.DisposeAsync();
    }

    [Theory]
    [InlineData("strict")]
    [InlineData("relaxed")]
    public async Task FirstRequest_ChangesAndBaseInRedis_IsDecidedByThemAndTheBaseOutlivesAFlush(string consistency)
    {
        await using var server = await RedisServer.StartAsync();
        await using (var link = server.Link())
        {
            Assert.Null(await link.ConnectAsync());
            await using var state = new RedisState(link, _prefix, TimeProvider.System, new Chance(3));
            var edits = PoolEdits.None.With(new Backend { Name = "z", BaseUrl = _added.BaseUrl }).Without("a") with { Version = 7 };
            await state.DefineAsync(Pool.DefaultName, 0, edits);
            await state.KeepBaseAsync(Pool.DefaultName, new Dictionary<string, BackendRecord> { ["z"] = new() { Version = 1, Birth = 5, Totals = Counted.Of(1_000) } }, 7);
        }

        await using var host = await StartAsync(RedisAddress.Parse(server.Connection, out _)!, Enum.Parse<Consistency>(consistency, ignoreCase: true));
        using (var answer = await host.ChatAsync())
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal((0, 1), (_configured.Requests.Count, _added.Requests.Count));
        await server.SendAsync("FLUSHALL");
        var totals = await host.Service<LifetimeTotals>().ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken);
        Assert.InRange(totals.For("z").Totals.Requests, 1_000, 1_001);
    }

    [Fact]
    public async Task FirstRequest_NobodyAnswersForRedis_IsServedFromTheConfigurationAtOnce()
    {
        await using var host = await StartAsync(RedisAddress.Parse($"127.0.0.1:{RedisServer.FreePort()}", out _)!, Consistency.Strict);
        using var answer = await host.ChatAsync();
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Single(_configured.Requests);
    }

    [Fact]
    public async Task Over_RedisIsSilent_CompletesAfterTwoSecondsAndNoSooner()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var time = new ManualTime();
        await using var link = new RedisLink(
            RedisAddress.Parse($"127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port},connectTimeout=60000", out _)!, TimeSpan.FromSeconds(1), time,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<RedisLink>.Instance);
        await using var instance = new SettlingInstance(time, 1, link, _prefix);
        using var rehydration = new Rehydration(link, instance.Sync, instance.Totals, instance.Pools, time);
        await rehydration.StartAsync(TestContext.Current.CancellationToken);
        await Await.Until(() => silent.Pending(), "Redis is asked");
        time.Advance(Rehydration.Longest - TimeSpan.FromMilliseconds(1));
        Assert.False(rehydration.Over.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Await.For(rehydration.Over, "the first request");
        await rehydration.StopAsync(TestContext.Current.CancellationToken);
    }

    private Task<BalancerHost> StartAsync(RedisAddress address, Consistency consistency) => BalancerHost.StartAsync(
        [_configured], options => options with { Redis = address, RedisKeyPrefix = _prefix, Consistency = consistency });
}
