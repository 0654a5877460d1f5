using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Stats;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

/// <summary>
/// One instance of the balancer as far as the ledger is concerned, with two configured backends, a and b; over a Redis, or alone. What a serves is counted as
/// a request of client key a too, what b serves as a refusal to client key b.
/// </summary>
internal sealed class SettlingInstance : IAsyncDisposable
{
    public const int InputTokens = 7;

    private readonly IBalancerState _state;
    private readonly RedisState? _shared;

    public SettlingInstance(TimeProvider time, ulong seed, RedisLink? link = null, string prefix = "")
    {
        var memory = new InMemoryState(time, new Chance(seed));
        _shared = link is null ? null : new RedisState(link, prefix, TimeProvider.System, new Chance(seed));
        _state = _shared is null ? memory : _shared;
        Pools = new PoolSource(new BalancerOptions { Backends = [Support.Pools.Backend("a"), Support.Pools.Backend("b")], ClientKeys = [new ClientKey("a", "1"), new ClientKey("B", "2")] });
        Usage = new KeyUsage(time, link is null ? null : new RedisKeyCounts(link, prefix, Pool.DefaultName, new Chance(seed)));
        KeyAccounts = new KeyAccounts(Pools, time, link is null ? null : new RedisKeyBase(link, prefix, Pool.DefaultName));
        KeyTotals = new KeyTotals(Usage, KeyAccounts);
        KeyHistory = new KeyHistory(Usage, KeyAccounts, Pools, time);
        Sync = new PoolSync(Pools, time, NullLogger<PoolSync>.Instance, _shared);
        Counters = new Counters(memory, Accounts, _shared);
        Totals = new LifetimeTotals(_state, Accounts, time, _shared);
        Settlement = new Settlement(Pools, Sync, Counters, Accounts, time) { Keys = new KeySettlement(Pools, Usage, KeyAccounts, time) };
        History = new History(Counters, Accounts, Pools, time);
    }

    public PoolSource Pools { get; }

    public PoolSync Sync { get; }

    public Accounts Accounts { get; } = new();

    public Counters Counters { get; }

    public LifetimeTotals Totals { get; }

    public Settlement Settlement { get; }

    public History History { get; }

    public KeyUsage Usage { get; }

    public KeyAccounts KeyAccounts { get; }

    public KeyTotals KeyTotals { get; }

    public KeyHistory KeyHistory { get; }

    public IEnumerable<string> Names => Pools.Current.Backends.Select(backend => backend.Name);

    public Task<SettleReport> SettleAsync(ILedger ledger) => Settlement.RunAsync(ledger, CancellationToken.None);

    /// <summary>Serves this many requests with the backend at <paramref name="index"/>.</summary>
    public async Task ServeAsync(int index, int requests)
    {
        for (var i = 0; i < requests; i++)
        {
            var lease = await _state.AcquireAsync(new AcquireRequest { Pool = Pools.Current, Only = index }, CancellationToken.None);
            Assert.NotNull(lease);
            await _state.ReleaseAsync(lease, new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 120, FirstTokenMs = 20, InputTokens = InputTokens, OutputTokens = 3 });
            Count(index);
        }

        await Usage.FlushAsync();
    }

    /// <summary>The requests that statistics tell of, of a and of b.</summary>
    public async Task<(long A, long B)> RequestsAsync()
    {
        var snapshot = await Totals.ReadAsync(Pool.DefaultName, CancellationToken.None);
        BackendTotals a = snapshot.For("a").Totals, b = snapshot.For("b", 1).Totals;
        Assert.Equal(InputTokens * a.Requests, a.InputTokens);
        Assert.Equal(a.Requests, a.Duration.Count);
        return (a.Requests, b.Requests);
    }

    /// <summary>What is told of client keys: the requests of a, the refusals to b.</summary>
    public async Task<(long A, long B)> KeysAsync()
    {
        var counts = await KeyTotals.ReadAsync(["a", "B"]);
        Assert.Equal(new KeyCounts(counts["A"].Requests, 0, InputTokens * counts["a"].Requests, 3 * counts["a"].Requests), counts["a"]);
        return (counts["a"].Requests, counts["b"].Refusals);
    }

    public async ValueTask DisposeAsync()
    {
        Usage.Dispose();
        Sync.Dispose();
        Settlement.Dispose();
        if (_shared is not null)
        {
            await _shared.DisposeAsync();
        }
    }

    private void Count(int index)
    {
        if (index == 0)
        {
            Usage.Of("A").Admit(InputTokens, 3);
        }
        else
        {
            Usage.Of("b").Refuse(1);
        }
    }
}
