using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <content>Many at once, and in any order.</content>
public abstract partial class BalancerStateContract
{
    [Theory]
    [InlineData("round_robin")]
    [InlineData("weighted_round_robin")]
    [InlineData("least_connections")]
    [InlineData("random")]
    [InlineData("consistent_hash")]
    [InlineData("response_time")]
    public async Task AcquireAsync_InParallel_NeverAboveTheLimitAndNothingLeftAtTheEnd(string strategy)
    {
        var options = new Roadbalancer.Options.BalancerOptions { Strategy = strategy };
        var pool = Pools.Of(options, [.. "abc".Select(name => Pools.Backend($"{name}") with { MaxConnections = 3 })]);
        var held = new int[3];
        long served = 0;
        await State();
        await Parallel.ForAsync(0, 16, TestContext.Current.CancellationToken, async (_, _) =>
        {
            for (var i = 0; i < 200; i++)
            {
                if (await Acquire(pool) is not { } lease)
                {
                    continue;
                }

                Assert.InRange(Interlocked.Increment(ref held[lease.Index]), 1, 3);
                await Task.Yield();
                Interlocked.Increment(ref served);
                Interlocked.Decrement(ref held[lease.Index]);
                await Release(lease, OutcomeKind.Succeeded);
            }
        });

        var known = (await Read()).Backends;
        Assert.All(known, backend => Assert.Equal(0, backend.Vitals.InFlight));
        Assert.Equal(served, known.Sum(backend => backend.Totals.Requests));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task AnyInterleaving_SeededSteps_KeepsTheInvariants(ulong seed)
    {
        var chance = new Chance(seed);
        var model = new InterleavingModel();
        var pool = RandomPool(chance, version: 1);
        for (var step = 0; step < 1_500; step++)
        {
            switch (chance.Next(10))
            {
                case < 4:
                    model.Took(await Acquire(pool, panic: chance.Next(8) == 0, slowStartRoll: chance.NextDouble()));
                    break;
                case < 8 when model.Held.Count > 0:
                    var lease = model.Held[chance.Next(model.Held.Count)];
                    var kind = chance.Next(2) == 0 ? OutcomeKind.Succeeded : (OutcomeKind)chance.Next(Enum.GetValues<OutcomeKind>().Length);
                    await Release(lease, kind);
                    model.Gave(lease);
                    break;
                case 8:
                    _time.Advance(TimeSpan.FromMilliseconds(chance.Next(4_000)));
                    break;
                case 9 when chance.Next(20) == 0:
                    pool = RandomPool(chance, pool.Version + 1);
                    model.Replaced();
                    break;
            }

            model.Check(await Read(), pool, $"seed {seed}, step {step}");
        }
    }

    private static Pool RandomPool(Chance chance, long version)
    {
        var names = StrategyTable.All;
        var backends = "abcde".Where(_ => chance.Next(4) > 0).DefaultIfEmpty('a').Select(name => Pools.Backend($"{name}", 1 + chance.Next(4)) with
        {
            MaxConnections = 4,
            Priority = chance.Next(2),
        });
        var options = new Roadbalancer.Options.BalancerOptions { Strategy = names[chance.Next(names.Count)].Name, Backends = [.. backends] };
        return new Pool(options, version);
    }

    /// <summary>What a store may never contradict: who holds what, how much was counted, and that a circuit has one trial and no shorter cooldown.</summary>
    private sealed class InterleavingModel
    {
        private readonly Dictionary<string, long> _ended = [];
        private readonly Dictionary<string, Vitals> _before = [];

        public List<Lease> Held { get; } = [];

        public void Took(Lease? lease)
        {
            if (lease is not null)
            {
                Held.Add(lease);
            }
        }

        public void Gave(Lease lease)
        {
            Held.Remove(lease);
            _ended[lease.Backend.Name] = _ended.GetValueOrDefault(lease.Backend.Name) + 1;
        }

        /// <summary>Removed backends may have been forgotten: their counts are no longer compared.</summary>
        public void Replaced()
        {
            _ended.Clear();
            _before.Clear();
        }

        public void Check(PoolSnapshot snapshot, Pool pool, string where)
        {
            foreach (var backend in pool.Backends)
            {
                var (vitals, totals) = (snapshot.For(backend.Name).Vitals, snapshot.For(backend.Name).Totals);
                var held = Held.Where(lease => lease.Backend.Name == backend.Name).ToList();
                Assert.True(vitals.InFlight == held.Count && held.Count <= backend.MaxConnections, $"{where}: {backend.Name} has {vitals.InFlight} of {held.Count}");
                Assert.True(held.Count(lease => lease.IsTrial && lease.Epoch == vitals.Epoch) == (vitals.Circuit == CircuitState.Trial ? 1 : 0), $"{where}: trials of {backend.Name}");
                Assert.True(totals.Requests >= _ended.GetValueOrDefault(backend.Name) && totals.Requests == totals.ByKind.Sum(), $"{where}: counts of {backend.Name}");
                if (_before.TryGetValue(backend.Name, out var before) && vitals.Circuit == CircuitState.Open && before.Circuit != CircuitState.Closed)
                {
                    Assert.True(vitals.OpenUntilMs >= before.OpenUntilMs && vitals.Epoch >= before.Epoch, $"{where}: cooldown of {backend.Name}");
                }

                _before[backend.Name] = vitals;
            }
        }
    }
}
