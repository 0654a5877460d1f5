using Roadbalancer.Ledger;
using Roadbalancer.Redis;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

/// <summary>Seeded schedules of two instances over a real Redis that is flushed at any point, with settlements that are killed and signals that get lost.</summary>
public sealed class FlushScheduleTests : IAsyncLifetime
{
    private const int Schedules = 250;

    private RedisServer _server = null!;
    private RedisLink _link = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await RedisServer.StartAsync();
        _link = _server.Link();
        Assert.Null(await _link.ConnectAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _link.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task RunAsync_RedisFlushedAtAnyPoint_CostsOneIntervalOfStatisticsAndNoAcknowledgedChange()
    {
        for (var seed = 0; seed < Schedules; seed++)
        {
            try
            {
                await new Schedule((ulong)seed, _link, () => _server.SendAsync("FLUSHDB")).RunAsync();
                await _server.SendAsync("FLUSHDB");
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Schedule {seed}", exception);
            }
        }
    }

    [Fact]
    public async Task RunAsync_LedgerIsLost_IsFilledAgainFromRedisHoursAndAll()
    {
        var time = new LeapTime();
        await using var instance = new SettlingInstance(time, 1, _link, "l:");
        await instance.ServeAsync(0, 3);
        await instance.SettleAsync(new MemoryLedger());
        time.Advance(TimeSpan.FromHours(1));
        await using var next = new SettlingInstance(time, 2, _link, "l:");
        await next.ServeAsync(0, 2);
        var ledger = new MemoryLedger();
        await next.SettleAsync(ledger);

        foreach (var entity in new[] { BackendEntity.Name, KeyEntity.Name })
        {
            var record = BackendRecord.Parse((await ledger.ReadAsync(entity, EntityKey.Of("a"), TestContext.Current.CancellationToken))!);
            Assert.Equal(5, record.Totals.Requests);
            Assert.Equal([3, 2], record.History.Hours.Values.Select(hour => hour.Successes));
        }
    }

    private sealed class Schedule(ulong seed, RedisLink link, Func<Task> flush)
    {
        private readonly Chance _chance = new(seed);
        private readonly LeapTime _time = new();
        private readonly LossyLedger _ledger = new(new Chance(~seed));
        private readonly SettlingInstance[] _instances = new SettlingInstance[2];
        private readonly HashSet<string> _acknowledged = [];
        private long _counted;
        private long _settled;
        private long _lost;
        private long _settledOfKeys;
        private long _lostOfKeys;
        private bool _isFlushed;
        private int _changes;
        private int _starts;

        public async Task RunAsync()
        {
            for (var i = 0; i < _instances.Length; i++)
            {
                _instances[i] = Start();
            }

            for (var step = 8 + _chance.Next(12); step > 0; step--)
            {
                _time.Advance(TimeSpan.FromMilliseconds(1 + _chance.Next(5_000)));
                await TakeStepAsync(_chance.Next(2));
                foreach (var instance in _instances)
                {
                    Assert.InRange((await instance.RequestsAsync()).A, _isFlushed ? 0 : _counted - _lost - (_counted - _settled), _counted);
                    Assert.InRange((await instance.KeysAsync()).A, _isFlushed ? 0 : _settledOfKeys - _lostOfKeys, _counted);
                }
            }

            _ledger.KillIn = 0;
            _ledger.IsReliable = true;
            foreach (var instance in _instances.Concat(_instances))
            {
                await instance.SettleAsync(_ledger);
            }

            foreach (var instance in _instances)
            {
                Assert.InRange((await instance.RequestsAsync()).A, _counted - _lost, _counted);
                Assert.InRange((await instance.KeysAsync()).A, _counted - _lostOfKeys, _counted);
                Assert.Subset(instance.Names.ToHashSet(), _acknowledged);
                Assert.True(instance.Accounts.IsDurable(instance.Pools.Edits));
                var hours = await instance.History.ReadAsync("a", _time.GetUtcNow().AddDays(-3), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), CancellationToken.None);
                Assert.Equal((await instance.RequestsAsync()).A, hours.Backends.SelectMany(backend => backend.Points).Sum(point => point.Counted.Requests));
                var keys = await instance.KeyHistory.ReadAsync("A", _time.GetUtcNow().AddDays(-3), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), CancellationToken.None);
                Assert.Equal((await instance.KeysAsync()).A, Assert.Single(keys.Keys).Points.Sum(point => point.Counted.Successes));
                await instance.DisposeAsync();
            }
        }

        private async Task TakeStepAsync(int which)
        {
            var instance = _instances[which];
            switch (_chance.Next(9))
            {
                case 0 or 1 or 2:
                    var requests = _chance.Next(6);
                    await instance.ServeAsync(0, requests);
                    _counted += requests;
                    break;
                case 3 or 4:
                    var name = $"c{_changes++}";
                    Assert.True((await instance.Sync.ChangeAsync(edits => edits.With(Pools.Backend(name)), CancellationToken.None)).IsShared);
                    _acknowledged.Add(name);
                    break;
                case 5:
                    await SettleAsync(which, 0);
                    break;
                case 6:
                    await SettleAsync(which, 1 + _chance.Next(25));
                    break;
                case 7:
                    // Each instance learns of the last changes before it can be the only one that is left to give them back.
                    foreach (var each in _instances)
                    {
                        Assert.Null(await each.Sync.MeetAsync(CancellationToken.None));
                    }

                    await flush();
                    (_lost, _lostOfKeys) = (_counted - _settled, _counted - _settledOfKeys);
                    _isFlushed = true;
                    break;
                default:
                    await ReplaceAsync(which);
                    break;
            }
        }

        private async Task SettleAsync(int which, int killIn)
        {
            try
            {
                _ledger.KillIn = killIn;
                var report = await _instances[which].SettleAsync(_ledger);
                _ledger.KillIn = 0;
                if (report.IsComplete)
                {
                    // An instance that looked just before looks again by then.
                    _time.Advance(TimeSpan.FromSeconds(2));
                    _settled = (await _instances[which].RequestsAsync()).A;
                    _settledOfKeys = (await _instances[which].KeysAsync()).A;
                    _isFlushed = false;
                }
            }
            catch (KilledException)
            {
                _ledger.KillIn = 0;
                await ReplaceAsync(which);
            }
        }

        /// <summary>One instance ends and another begins; the other one lives.</summary>
        private async Task ReplaceAsync(int which)
        {
            Assert.Null(await _instances[1 - which].Sync.MeetAsync(CancellationToken.None));
            await _instances[which].DisposeAsync();
            _instances[which] = Start();
        }

        private SettlingInstance Start() => new(_time, (seed << 8) + (ulong)_starts++, link, "f:");
    }
}
