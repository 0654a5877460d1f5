using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

/// <summary>What client keys were used for, in the ledger: beyond what <see cref="SettlementScheduleTests"/> and <see cref="FlushScheduleTests"/> hold it to.</summary>
public class KeySettlementTests
{
    private readonly LeapTime _time = new();
    private readonly MemoryLedger _ledger = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ReadAsync_OneKey_HasItsHoursAndWhatIsNotSettledYet()
    {
        await using var instance = new SettlingInstance(_time, 1);
        instance.Usage.Of("A").Admit(10, 5);
        instance.Usage.Of("a").Refuse(1);
        await instance.SettleAsync(_ledger);
        _time.Advance(TimeSpan.FromHours(2));
        instance.Usage.Of("a").Admit(1, 2);

        var report = await instance.KeyHistory.ReadAsync("A", _time.GetUtcNow().AddHours(-2), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), Token);

        var points = Assert.Single(report.Keys).Points.Select(point => (point.Counted.Successes, point.Counted.Failures, point.Counted.InputTokens, point.Counted.OutputTokens));
        Assert.Equal([(1, 1, 10, 5), (0, 0, 0, 0), (1, 0, 1, 2)], points);
        Assert.Equal(new KeyCounts(2, 1, 11, 7), (await instance.KeyTotals.ReadAsync(["a"]))["a"]);
    }

    [Fact]
    public async Task ReadAsync_KeyThatWasNeverUsed_IsThereWithoutAnything()
    {
        await using var instance = new SettlingInstance(_time, 1);
        async Task<KeyHistoryReport> Read(string name) => await instance.KeyHistory.ReadAsync(name, _time.GetUtcNow().AddHours(-2), _time.GetUtcNow(), TimeSpan.FromHours(1), Token);

        Assert.All(Assert.Single((await Read("b")).Keys).Points, point => Assert.True(point.Counted.IsEmpty));
        Assert.Empty((await Read("nobody")).Keys);
        Assert.Equal(default, (await instance.KeyTotals.ReadAsync(["b"]))["b"]);
    }

    [Fact]
    public async Task RunAsync_KeyThatIsGone_GivesItsCountersUpAndKeepsItsHistory()
    {
        await using var instance = new SettlingInstance(_time, 1);
        instance.Usage.Of("gone").Admit(10, 5);
        await instance.SettleAsync(_ledger);
        await instance.SettleAsync(_ledger);
        Assert.Contains("gone", (await instance.Usage.ReadAsync()).Names);

        _time.Advance(KeySettlement.Rest);
        await instance.SettleAsync(_ledger);
        Assert.DoesNotContain("gone", (await instance.Usage.ReadAsync()).Names);
        Assert.Equal(new KeyCounts(1, 0, 10, 5), (await instance.KeyTotals.ReadAsync(["gone"]))["gone"]);

        // Made again, it goes on from there, counters of a new life and all.
        instance.Usage.Of("Gone").Admit(1, 1);
        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await instance.KeyTotals.ReadAsync(["gone"]))["gone"]);
        await instance.SettleAsync(_ledger);
        Assert.Equal(new KeyCounts(2, 0, 11, 6), (await instance.KeyTotals.ReadAsync(["gone"]))["gone"]);
        var history = await instance.KeyHistory.ReadAsync("GONE", _time.GetUtcNow().AddHours(-3), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), Token);
        Assert.Equal([1, 1], Assert.Single(history.Keys).Points.Where(point => !point.Counted.IsEmpty).Select(point => point.Counted.Requests));
    }

    [Fact]
    public async Task RunAsync_KeyInForce_KeepsItsCounters()
    {
        await using var instance = new SettlingInstance(_time, 1);
        instance.Usage.Of("a").Admit(10, 5);
        await instance.SettleAsync(_ledger);
        _time.Advance(KeySettlement.Rest);
        await instance.SettleAsync(_ledger);
        Assert.Equal(["a"], (await instance.Usage.ReadAsync()).Names);
    }

    [Fact]
    public async Task RunAsync_MoreGoneKeysThanAreKept_ForgetsThoseUsedFirst()
    {
        await using var instance = new SettlingInstance(_time, 1);
        string[] first = ["x", "y"];
        foreach (var name in first)
        {
            instance.Usage.Of(name).Refuse(1);
        }

        instance.Usage.Of("a").Admit(1, 1);
        await instance.SettleAsync(_ledger);
        _time.Advance(TimeSpan.FromMinutes(1));
        for (var i = 0; i < KeySettlement.GoneKept; i++)
        {
            instance.Usage.Of($"k{i}").Admit(1, 1);
        }

        await instance.SettleAsync(_ledger);
        _time.Advance(KeySettlement.Rest + TimeSpan.FromMinutes(1));
        await instance.SettleAsync(_ledger);
        await instance.SettleAsync(_ledger);

        var kept = (await _ledger.ListAsync(KeyEntity.Name, Token)).Keys;
        Assert.Equal(KeySettlement.GoneKept + 1, kept.Count());
        Assert.DoesNotContain(kept, key => first.Contains(EntityKey.NameOf(key)));
        Assert.Contains(EntityKey.Of("a"), kept);
        Assert.Equal(default, (await instance.KeyTotals.ReadAsync(first))["x"]);
    }

    [Fact]
    public async Task RunAsync_KeyAndBackendOfOneName_HaveAccountsOfTheirOwn()
    {
        await using var instance = new SettlingInstance(_time, 1);
        await instance.ServeAsync(0, 3);
        instance.Usage.Of("a").Admit(0, 0);
        await instance.SettleAsync(_ledger);
        Assert.Equal(3, BackendRecord.Parse((await _ledger.ReadAsync(BackendEntity.Name, EntityKey.Of("a"), Token))!).Totals.Requests);
        Assert.Equal(4, BackendRecord.Parse((await _ledger.ReadAsync(KeyEntity.Name, EntityKey.Of("a"), Token))!).Totals.Requests);
    }

    [Fact]
    public async Task RunAsync_RecordOfANewerProgram_IsLeftAsItIs()
    {
        await using var instance = new SettlingInstance(_time, 1);
        instance.Usage.Of("a").Admit(1, 1);
        var ledger = new Foreign();
        var report = await instance.SettleAsync(ledger);
        Assert.False(report.IsComplete);
        Assert.Contains(report.Lines, line => line.StartsWith("client key a: the ledger's record cannot be read and is left as it is", StringComparison.Ordinal));
        Assert.Empty(ledger.Signals);
    }

    [Fact]
    public async Task RunAsync_RedisDoesNotServe_IsToldAndNothingIsSent()
    {
        await using var link = new RedisLink(
            RedisAddress.Parse($"127.0.0.1:{RedisServer.FreePort()}", out _)!, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger<RedisLink>.Instance);
        await using var instance = new SettlingInstance(_time, 1, link, "x:");
        instance.Usage.Of("a").Admit(1, 1);
        var report = await instance.SettleAsync(_ledger);
        Assert.Contains("client keys: Redis does not serve", report.Lines);
        Assert.Empty(await _ledger.ListAsync(KeyEntity.Name, Token));
        Assert.Equal(1, (await instance.KeyTotals.ReadAsync(["a"]))["a"].Requests);
    }

    [Fact]
    public async Task RunAsync_LedgerTooSlowForAll_BringsInKeysAndBackends()
    {
        await using var instance = new SettlingInstance(_time, 1);
        await instance.ServeAsync(0, 1);
        await instance.ServeAsync(1, 1);
        var report = await instance.SettleAsync(new Slow(_ledger, _time));
        Assert.False(report.IsComplete);
        Assert.Equal([EntityKey.Of("a"), EntityKey.Of("b")], (await _ledger.ListAsync(KeyEntity.Name, Token)).Keys.Order(StringComparer.Ordinal));
        Assert.Equal(1, BackendRecord.Parse((await _ledger.ReadAsync(BackendEntity.Name, EntityKey.Of("a"), Token))!).Totals.Requests);
    }

    [Fact]
    public async Task RunAsync_AnothersPutIsFaster_IsLeftForTheNextRun()
    {
        await using var instance = new SettlingInstance(_time, 1);
        instance.Usage.Of("a").Admit(10, 5);
        var ledger = new Overtaken(_ledger);
        Assert.False((await instance.SettleAsync(ledger)).IsComplete);
        Assert.True((await instance.SettleAsync(ledger)).IsComplete);
        Assert.Equal(2, BackendRecord.Parse((await _ledger.ReadAsync(KeyEntity.Name, EntityKey.Of("a"), Token))!).Totals.Requests);
    }

    /// <summary>A ledger that a signal of a process that is no more reaches just before the first.</summary>
    private sealed class Overtaken(ILedger ledger) : ILedger
    {
        private bool _isOver;

        public async Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
        {
            if (entity == KeyEntity.Name && !_isOver)
            {
                _isOver = true;
                var counted = Tally.Of(new KeyCounts(1, 0, 1, 1));
                await ledger.SignalAsync(entity, key, operation, new BackendPut { Version = 1, After = 0, Birth = 1, Totals = counted, Mark = counted }.ToJson(), cancellationToken);
            }

            await ledger.SignalAsync(entity, key, operation, inputJson, cancellationToken);
        }

        public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken) => ledger.ReadAsync(entity, key, cancellationToken);

        public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken) => ledger.ListAsync(entity, cancellationToken);
    }

    /// <summary>A ledger that takes 3 s for each call.</summary>
    private sealed class Slow(ILedger ledger, LeapTime time) : ILedger
    {
        public Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken) =>
            Later(ledger.SignalAsync(entity, key, operation, inputJson, cancellationToken));

        public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken) => Later(ledger.ReadAsync(entity, key, cancellationToken));

        public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken) => Later(ledger.ListAsync(entity, cancellationToken));

        private T Later<T>(T call)
        {
            time.Advance(TimeSpan.FromSeconds(3));
            return call;
        }
    }

    /// <summary>A ledger in which a newer program has written.</summary>
    private sealed class Foreign : ILedger
    {
        public List<string> Signals { get; } = [];

        public Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
        {
            if (entity == KeyEntity.Name)
            {
                Signals.Add(operation);
            }

            return Task.CompletedTask;
        }

        public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken) => Task.FromResult<string?>(null);

        public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyDictionary<string, string>>(
            entity == KeyEntity.Name ? new Dictionary<string, string> { [EntityKey.Of("a")] = """{"schema":2}""" } : []);
    }
}
