using Roadbalancer.Ledger;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

/// <summary>
/// Seeded schedules of requests, run-time changes, settlements, kills between any two steps, restarts, and signals that are lost, doubled, late and
/// out of order. Nothing is counted twice, what was settled never goes, and what is durable is never lost.
/// </summary>
public class SettlementScheduleTests
{
    private const int Schedules = 10_000;
    private const int Batches = 12;

    public static TheoryData<int> Parts => [.. Enumerable.Range(0, Batches)];

    [Theory]
    [MemberData(nameof(Parts))]
    public async Task RunAsync_AnySchedule_CountsEachRequestOnceAndKeepsEveryDurableChange(int part)
    {
        for (var seed = part; seed < Schedules; seed += Batches)
        {
            try
            {
                await using var schedule = new Schedule((ulong)seed);
                await schedule.RunAsync();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Schedule {seed}", exception);
            }
        }
    }

    private sealed class Schedule(ulong seed) : IAsyncDisposable
    {
        private readonly Chance _chance = new(seed);
        private readonly LeapTime _time = new();
        private readonly LossyLedger _ledger = new(new Chance(~seed));
        private readonly HashSet<string> _inForce = [];
        private HashSet<string> _durable = [];
        private SettlingInstance _process = null!;
        private (long A, long B) _counted;
        private (long A, long B) _settled;
        private (long A, long B) _lost;
        private (long A, long B) _shown;
        private (long A, long B) _settledOfKeys;
        private (long A, long B) _lostOfKeys;
        private (long A, long B) _shownOfKeys;
        private int _changes;

        /// <summary>A process alone: its ledger takes over what it is given at once.</summary>
        private bool IsAlone => seed % 2 == 0;

        public async Task RunAsync()
        {
            _ledger.IsReliable = IsAlone;
            await StartAsync();
            for (var step = 6 + _chance.Next(10); step > 0; step--)
            {
                _time.Advance(TimeSpan.FromMilliseconds(1 + _chance.Next(100)));
                await TakeStepAsync();
                await CheckAsync();
            }

            _ledger.IsReliable = true;
            _ledger.KillIn = 0;
            var last = await _process.SettleAsync(_ledger);
            Assert.True(last.IsComplete, string.Join("; ", last.Lines));
            await CheckAsync();
            Assert.InRange(_shown.A, _counted.A - _lost.A, _counted.A);
            Assert.InRange(_shown.B, _counted.B - _lost.B, _counted.B);
            Assert.InRange(_shownOfKeys.A, _counted.A - _lostOfKeys.A, _counted.A);
            Assert.InRange(_shownOfKeys.B, _counted.B - _lostOfKeys.B, _counted.B);
            Assert.Subset(_process.Names.ToHashSet(), _durable);
            if (_process.Pools.Edits.Version > 0)
            {
                var kept = RegistryRecord.Parse((await _ledger.ReadAsync(RegistryEntity.Name, EntityKey.Of("default"), CancellationToken.None))!);
                Assert.Equal(_process.Pools.Edits.ToJson(), kept.Document());
            }

            await CheckHoursAsync();
        }

        public ValueTask DisposeAsync() => _process.DisposeAsync();

        private async Task TakeStepAsync()
        {
            switch (_chance.Next(8))
            {
                case 0 or 1 or 2:
                    (int a, int b) = (_chance.Next(6), _chance.Next(3));
                    await _process.ServeAsync(0, a);
                    await _process.ServeAsync(1, b);
                    _counted = (_counted.A + a, _counted.B + b);
                    break;
                case 3:
                    await ChangeAsync();
                    break;
                case 4 or 5:
                    await SettleAsync(kill: false);
                    break;
                case 6:
                    await SettleAsync(kill: true);
                    break;
                default:
                    _time.Advance(TimeSpan.FromMinutes(_chance.Next(90)));
                    break;
            }
        }

        private async Task ChangeAsync()
        {
            var name = $"c{_changes++}";
            try
            {
                _ledger.KillIn = IsAlone && _chance.Next(4) == 0 ? 1 + _chance.Next(3) : 0;
                var result = await _process.Sync.ChangeAsync(edits => edits.With(Pools.Backend(name)), CancellationToken.None);
                _inForce.Add(name);
                Assert.Equal(IsAlone, result.IsDurable);
                if (result.IsDurable)
                {
                    _durable.Add(name);
                }

                _ledger.KillIn = 0;
            }
            catch (KilledException)
            {
                await DieAsync();
            }
        }

        private async Task SettleAsync(bool kill)
        {
            try
            {
                _ledger.KillIn = kill ? 1 + _chance.Next(30) : 0;
                var report = await _process.SettleAsync(_ledger);
                _ledger.KillIn = 0;
                if (report.IsComplete)
                {
                    _settled = _shown = await _process.RequestsAsync();
                    _settledOfKeys = _shownOfKeys = await _process.KeysAsync();
                    Assert.True(_process.Accounts.IsDurable(_process.Pools.Edits));
                }

                if (_process.Accounts.IsDurable(_process.Pools.Edits))
                {
                    _durable = [.. _durable, .. _inForce];
                }
            }
            catch (KilledException)
            {
                await DieAsync();
            }
        }

        /// <summary>What was counted since the last complete settlement may be gone; nothing else may.</summary>
        private async Task DieAsync()
        {
            _ledger.KillIn = 0;
            _lost = (_counted.A - _settled.A, _counted.B - _settled.B);
            _lostOfKeys = (_counted.A - _settledOfKeys.A, _counted.B - _settledOfKeys.B);
            _inForce.Clear();
            _shown = _shownOfKeys = (0, 0);
            await _process.DisposeAsync();
            await StartAsync();
        }

        private async Task StartAsync()
        {
            _process = new SettlingInstance(_time, seed + (ulong)_changes);
            if (IsAlone)
            {
                _process.Sync.Keep = async (edits, cancellationToken) =>
                {
                    await _process.Settlement.KeepAsync(_ledger, edits, cancellationToken);
                    return true;
                };
                await _process.Settlement.RestoreAsync(_ledger, CancellationToken.None);
                Assert.Subset(_process.Names.ToHashSet(), _durable);
                var (a, b) = await _process.RequestsAsync();
                Assert.True(a >= _settled.A && b >= _settled.B, "a restart cost what was settled");
                (a, b) = await _process.KeysAsync();
                Assert.True(a >= _settledOfKeys.A && b >= _settledOfKeys.B, "a restart cost what was settled of keys");
            }
        }

        private async Task CheckAsync()
        {
            var (a, b) = await _process.RequestsAsync();
            Assert.True(a <= _counted.A && b <= _counted.B, $"counted twice: {a} of {_counted.A}, {b} of {_counted.B}");
            Assert.True(a >= _shown.A && b >= _shown.B, $"went backwards: {a} after {_shown.A}, {b} after {_shown.B}");
            Assert.Subset(_process.Names.ToHashSet(), _inForce);
            _shown = (a, b);
            (a, b) = await _process.KeysAsync();
            Assert.True(a <= _counted.A && b <= _counted.B, $"counted twice of keys: {a} of {_counted.A}, {b} of {_counted.B}");
            Assert.True(a >= _shownOfKeys.A && b >= _shownOfKeys.B, $"went backwards of keys: {a} after {_shownOfKeys.A}, {b} after {_shownOfKeys.B}");
            _shownOfKeys = (a, b);
        }

        private async Task CheckHoursAsync()
        {
            var report = await _process.History.ReadAsync(null, _time.GetUtcNow().AddDays(-3), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), CancellationToken.None);
            Assert.Equal(_shown.A, report.Backends.Where(backend => backend.Name == "a").SelectMany(backend => backend.Points).Sum(point => point.Counted.Requests));
            Assert.Equal(_shown.B, report.Backends.Where(backend => backend.Name == "b").SelectMany(backend => backend.Points).Sum(point => point.Counted.Requests));
            var keys = await _process.KeyHistory.ReadAsync(null, _time.GetUtcNow().AddDays(-3), _time.GetUtcNow().AddHours(1), TimeSpan.FromHours(1), CancellationToken.None);
            Assert.Equal(["B", "a"], keys.Keys.Select(key => key.Name));
            Assert.Equal(_shownOfKeys.A, keys.Keys[1].Points.Sum(point => point.Counted.Successes));
            Assert.Equal(_shownOfKeys.B, keys.Keys[0].Points.Sum(point => point.Counted.Failures));
        }
    }
}
