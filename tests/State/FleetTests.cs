using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>Four instances over one Redis in any order of what may happen, against a model that only counts.</summary>
public sealed class FleetTests(SharedRedis redis)
{
    private const int Instances = 4;
    private const int Steps = 350;

    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 16).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task AnyInterleaving_FourInstances_KeepsTheInvariants(ulong seed)
    {
        await using var fleet = new Fleet(redis, new Chance(seed));
        for (var step = 0; step < Steps; step++)
        {
            await fleet.StepAsync();
            await fleet.CheckAsync($"seed {seed}, step {step}: {fleet.Last}");
        }

        await fleet.EndAsync();
        await fleet.CheckAsync($"seed {seed}, at the end");
        Assert.True(fleet.InFlight == 0, $"seed {seed}: {fleet.InFlight} are left");
    }

    private sealed class Fleet : IAsyncDisposable
    {
        private readonly SharedRedis _redis;
        private readonly Chance _chance;
        private readonly string _prefix;
        private readonly ManualTime _time = new();
        private readonly List<RedisState> _living = [];
        private readonly List<(RedisState By, Lease Lease)> _held = [];
        private readonly List<(RedisState By, Lease Lease, long ForgottenAtMs)> _orphans = [];
        private readonly Dictionary<string, long> _ended = [];
        private readonly Dictionary<string, Vitals> _before = [];
        private Pool _pool;
        private ulong _born;

        public Fleet(SharedRedis redis, Chance chance)
        {
            (_redis, _chance, _prefix) = (redis, chance, redis.NextPrefix());
            _pool = Definition(1);
            while (_living.Count < Instances)
            {
                Start();
            }
        }

        public string Last { get; private set; } = "";

        public int InFlight => _held.Count;

        private long NowMs => _time.GetUtcNow().ToUnixTimeMilliseconds();

        public Task StepAsync() => _chance.Next(24) switch
        {
            < 10 => AcquireAsync(),
            < 18 => ReleaseAsync(),
            < 20 => PassAsync(TimeSpan.FromMilliseconds(_chance.Next(4_000))),
            20 => ProbeAsync(),
            21 when _chance.Next(4) == 0 => PassAsync(TimeSpan.FromSeconds(20)),
            22 when _chance.Next(5) == 0 => DieAsync(),
            23 when _chance.Next(5) == 0 => ReplaceAsync(),
            _ => ReleaseLateAsync(),
        };

        public async Task EndAsync()
        {
            while (_held.Count > 0)
            {
                await ReleaseAsync();
            }

            await PassAsync(TimeSpan.FromSeconds(36));
        }

        public async Task CheckAsync(string where)
        {
            var known = await _living[0].ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken);
            foreach (var backend in _pool.Backends)
            {
                var (vitals, totals) = (known.For(backend.Name).Vitals, known.For(backend.Name).Totals);
                var held = _held.Count(lease => lease.Lease.Backend.Name == backend.Name);
                var orphans = _orphans.Count(lease => lease.Lease.Backend.Name == backend.Name && lease.ForgottenAtMs > NowMs);
                Assert.True(vitals.InFlight >= held && vitals.InFlight <= held + orphans && vitals.InFlight <= backend.MaxConnections, $"{where}: {backend.Name} has {vitals.InFlight} of {held} and {orphans}");
                Assert.True(totals.Requests == _ended.GetValueOrDefault(backend.Name) && totals.Requests == totals.ByKind.Sum(), $"{where}: {totals.Requests} of {_ended.GetValueOrDefault(backend.Name)} counted of {backend.Name}");
                var trials = _held.Select(lease => lease.Lease).Concat(_orphans.Select(lease => lease.Lease))
                    .Count(lease => lease.IsTrial && lease.Epoch == vitals.Epoch && lease.Backend.Name == backend.Name);
                Assert.True(trials == (vitals.Circuit == CircuitState.Trial ? 1 : 0), $"{where}: {trials} trials of {backend.Name}");
                if (_before.TryGetValue(backend.Name, out var before))
                {
                    Assert.True(vitals.Epoch >= before.Epoch && vitals.Trips >= before.Trips, $"{where}: epoch of {backend.Name}");
                    Assert.True(vitals.Circuit == CircuitState.Closed || before.Circuit == CircuitState.Closed || vitals.OpenUntilMs >= before.OpenUntilMs, $"{where}: cooldown of {backend.Name}");
                }

                _before[backend.Name] = vitals;
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var state in _living)
            {
                await state.DisposeAsync();
            }
        }

        private async Task AcquireAsync()
        {
            Last = "acquire";
            var state = _living[_chance.Next(_living.Count)];
            var request = new AcquireRequest
            {
                Pool = _pool,
                Panic = _chance.Next(8) == 0,
                Roll1 = _chance.NextDouble(),
                Roll2 = _chance.NextDouble(),
                SlowStartRoll = _chance.NextDouble(),
                AffinityKey = _chance.NextBits(),
            };
            if (await state.AcquireAsync(request, TestContext.Current.CancellationToken) is { } lease)
            {
                _held.Add((state, lease));
            }
        }

        private async Task ReleaseAsync()
        {
            Last = "release";
            var some = _held.Take(_held.Count).Where(_ => _chance.Next(4) == 0).Take(1 + _chance.Next(5)).DefaultIfEmpty(_held.FirstOrDefault()).Where(pair => pair.Lease is not null).ToList();
            _held.RemoveAll(some.Contains);
            await Task.WhenAll(some.Select(pair => EndAsync(pair.By, pair.Lease)));
        }

        /// <summary>An instance that only stood still comes back with an outcome.</summary>
        private async Task ReleaseLateAsync()
        {
            Last = "late release";
            if (_orphans.FindIndex(orphan => NowMs < orphan.ForgottenAtMs + 3_000_000) is >= 0 and var index && _chance.Next(2) == 0)
            {
                var (by, lease, _) = _orphans[index];
                _orphans.RemoveAt(index);
                await EndAsync(by, lease);
            }
        }

        private async Task EndAsync(RedisState by, Lease lease)
        {
            lock (_ended)
            {
                _ended[lease.Backend.Name] = _ended.GetValueOrDefault(lease.Backend.Name) + 1;
            }

            await by.ReleaseAsync(lease, Outcome());
        }

        private async Task ProbeAsync()
        {
            Last = "probe";
            await _living[0].ReleaseAsync(Lease.ForProbe(_pool, _chance.Next(_pool.Backends.Length)), Outcome());
        }

        private async Task PassAsync(TimeSpan span)
        {
            Last = $"{span.TotalSeconds:0.0} s";
            for (var step = TimeSpan.FromSeconds(5); span > TimeSpan.Zero; span -= step)
            {
                _time.Advance(span < step ? span : step);
                foreach (var state in _living)
                {
                    Assert.Null(await state.CatchUpAsync(_pool));
                }
            }
        }

        private async Task DieAsync()
        {
            Last = "death";
            var dead = _living[_chance.Next(_living.Count)];
            _living.Remove(dead);
            await dead.DisposeAsync();

            // A lease lasts 30 s, and the next renewal by another finds it expired.
            _orphans.AddRange(_held.Where(pair => pair.By == dead).Select(pair => (pair.By, pair.Lease, NowMs + 35_000)));
            _held.RemoveAll(pair => pair.By == dead);
            Start();
        }

        private async Task ReplaceAsync()
        {
            Last = "replacement";
            _pool = Definition(_pool.Version + 1);
            foreach (var state in _living.Where(_ => _chance.Next(2) == 0))
            {
                await state.PrepareAsync(_pool);
            }
        }

        private void Start() => _living.Add(new RedisState(_redis.Link, _prefix, _time, new Chance((_chance.NextBits() << 8) + ++_born), () => NowMs));

        private Pool Definition(long version) => new(
            new BalancerOptions
            {
                Strategy = StrategyTable.All[_chance.Next(StrategyTable.All.Count)].Name,
                Backends = [.. "abcde".Select(name => Pools.Backend($"{name}", 1 + _chance.Next(4)) with { MaxConnections = 5, Priority = _chance.Next(2), Enabled = _chance.Next(5) > 0 })],
            },
            version);

        private AttemptOutcome Outcome() => new(_chance.Next(2) == 0 ? OutcomeKind.Succeeded : (OutcomeKind)_chance.Next(Enum.GetValues<OutcomeKind>().Length))
        {
            DurationMs = _chance.Next(3_000),
            RetryAfter = _chance.Next(4) == 0 ? TimeSpan.FromMilliseconds(_chance.Next(3_000)) : null,
        };
    }
}
