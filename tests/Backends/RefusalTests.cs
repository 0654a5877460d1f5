using System.Collections.Frozen;
using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.State;
using Roadbalancer.Stats;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Backends;

public sealed class RefusalTests
{
    private const long NowMs = 1_000_000;

    /// <summary>Each case: the condition of each backend, the reason, seconds until it may be asked again, seconds until one is unparked.</summary>
    [Theory]
    [InlineData("parked:4 parked:2", nameof(RefusalReason.Throttled), 2, 2)]
    [InlineData("parked:4 full", nameof(RefusalReason.Full), 4, 4)]
    [InlineData("full full", nameof(RefusalReason.Full), null, null)]
    [InlineData("open:3 open:9", nameof(RefusalReason.Unhealthy), 3, null)]
    [InlineData("open:3 parked:8", nameof(RefusalReason.Throttled), 3, 8)]
    [InlineData("trial:5 misconfigured", nameof(RefusalReason.Unhealthy), 5, null)]
    [InlineData("misconfigured absent", nameof(RefusalReason.Unhealthy), null, null)]
    [InlineData("absent absent", nameof(RefusalReason.NoModel), null, null)]
    [InlineData("absent disabled", nameof(RefusalReason.NoModel), null, null)]
    [InlineData("absent full", nameof(RefusalReason.Full), null, null)]
    [InlineData("disabled drained", nameof(RefusalReason.Unhealthy), null, null)]
    [InlineData("excluded excluded", nameof(RefusalReason.AllExcluded), null, null)]
    [InlineData("excluded full", nameof(RefusalReason.Full), null, null)]
    [InlineData("excluded wrong-model", nameof(RefusalReason.AllExcluded), null, null)]
    [InlineData("wrong-model wrong-model", nameof(RefusalReason.NoModel), null, null)]
    [InlineData("untagged wrong-model", nameof(RefusalReason.NoTags), null, null)]
    [InlineData("fine full", nameof(RefusalReason.None), 0, null)]
    [InlineData("recovering full", nameof(RefusalReason.None), 0, null)]
    public void Of_Conditions_TellReasonAndWhen(string conditions, string reason, int? retryAfterSeconds, int? soonestFreeSeconds)
    {
        var (request, snapshot) = Build(conditions);
        var refusal = Refusal.Of(request, snapshot);
        Assert.Equal(reason, refusal.Reason.ToString());
        Assert.Equal(retryAfterSeconds, refusal.RetryAfter?.TotalSeconds);
        Assert.Equal(soonestFreeSeconds, refusal.SoonestFree?.TotalSeconds);
    }

    [Fact]
    public void Of_EveryCondition_FlagsWhatThereIs()
    {
        var (request, snapshot) = Build("parked:4 full open:3");
        var refusal = Refusal.Of(request, snapshot);
        Assert.Equal((true, true, true), (refusal.AnyParked, refusal.AnyFull, refusal.AnyCircuitOpen));
    }

    [Fact]
    public void Of_ParkedBehindAnOpenCircuit_IsFreeWhenBothAreOver()
    {
        var (request, snapshot) = Build("open:3");
        snapshot.Backends[0].Vitals.ParkedUntilMs = NowMs + 7_000;
        Assert.Equal(7, Refusal.Of(request, snapshot).RetryAfter?.TotalSeconds);
    }

    [Fact]
    public void Explain_EachBackend_NamesItsObstacle()
    {
        var (request, snapshot) = Build("fine parked:4 full open:3 trial:5 misconfigured absent disabled drained excluded wrong-model untagged recovering");
        Assert.Equal(
            [
                Obstacle.None, Obstacle.Parked, Obstacle.Full, Obstacle.CircuitOpen, Obstacle.TrialRunning, Obstacle.Misconfigured,
                Obstacle.ModelAbsent, Obstacle.Disabled, Obstacle.Drained, Obstacle.Excluded, Obstacle.WrongModel, Obstacle.WrongTags, Obstacle.SlowStart,
            ],
            Eligibility.Explain(request, snapshot));
    }

    private static (AcquireRequest Request, PoolSnapshot Snapshot) Build(string conditions)
    {
        var names = conditions.Split(' ');
        var excluded = default(BackendSet);
        var backends = new Backend[names.Length];
        var known = new BackendSnapshot[names.Length];
        for (var index = 0; index < names.Length; index++)
        {
            var (condition, untilMs) = names[index].Split(':') is [var word, var seconds]
                ? (word, NowMs + (int.Parse(seconds, null) * 1_000))
                : (names[index], 0L);
            if (condition == "excluded")
            {
                excluded.Add(index);
            }

            backends[index] = Configured(condition, $"backend-{index}");
            known[index] = new BackendSnapshot($"backend-{index}", Vitals(condition, untilMs), new BackendTotals());
        }

        var request = new AcquireRequest { Pool = Pools.Of(backends), Model = "m", Tags = ["t"], Excluded = excluded, SlowStartRoll = 0.9 };
        return (request, new PoolSnapshot(Pool.DefaultName, NowMs, [.. known]));
    }

    private static Backend Configured(string condition, string name) => Pools.Backend(name, condition == "drained" ? 0 : 1) with
    {
        Enabled = condition != "disabled",
        Tags = condition == "untagged" ? FrozenSet<string>.Empty : FrozenSet.Create("t"),
        Models = condition == "wrong-model"
            ? new Dictionary<string, string> { ["x"] = "x" }.ToFrozenDictionary()
            : FrozenDictionary<string, string>.Empty,
    };

    private static Vitals Vitals(string condition, long untilMs) => condition switch
    {
        "parked" => new Vitals { ParkedUntilMs = untilMs },
        "full" => new Vitals { InFlight = 100 },
        "open" => new Vitals { Circuit = CircuitState.Open, OpenUntilMs = untilMs },
        "trial" => new Vitals { Circuit = CircuitState.Trial, TrialUntilMs = untilMs },
        "misconfigured" => new Vitals { Misconfigured = true },
        "absent" => new Vitals { AbsentModels = new Dictionary<string, long> { ["m"] = NowMs + 1 } },
        "recovering" => new Vitals { RecoveredAtMs = NowMs - 1_000 },
        _ => new Vitals(),
    };
}
