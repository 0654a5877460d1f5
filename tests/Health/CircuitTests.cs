using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Health;

public sealed class CircuitTests
{
    private const double MiddleRoll = 0.5; // a jitter factor of 1

    private readonly Vitals _vitals = new();
    private BalancerOptions _options = new();
    private long _nowMs = 1_000_000;
    private long _lastLeaseId;

    [Fact]
    public void Settle_ConsecutiveFailures_OpenAtTheThreshold()
    {
        Assert.Equal(Transitions.None, Live(OutcomeKind.ServerError));
        Assert.Equal(Transitions.None, Live(OutcomeKind.ConnectFailed));
        Assert.Equal(Transitions.Opened, Live(OutcomeKind.StreamBroken));
        Assert.Equal(CircuitState.Open, _vitals.Circuit);
        Assert.Equal(_nowMs + 5_000, _vitals.OpenUntilMs);
        Assert.Equal(1, _vitals.Trips);
    }

    [Fact]
    public void Settle_SuccessBetweenFailures_StartsTheCountOver()
    {
        Live(OutcomeKind.ServerError, OutcomeKind.ServerError, OutcomeKind.Succeeded, OutcomeKind.ServerError, OutcomeKind.ServerError);
        Assert.Equal(CircuitState.Closed, _vitals.Circuit);
        Assert.Equal(2, _vitals.ConsecutiveFailures);
    }

    [Theory]
    [InlineData(nameof(OutcomeKind.CallerFault))]
    [InlineData(nameof(OutcomeKind.ContextTooLong))]
    [InlineData(nameof(OutcomeKind.ContentFiltered))]
    [InlineData(nameof(OutcomeKind.ClientLeft))]
    [InlineData(nameof(OutcomeKind.Superseded))]
    [InlineData(nameof(OutcomeKind.DeadlineReached))]
    [InlineData(nameof(OutcomeKind.RateLimited))]
    [InlineData(nameof(OutcomeKind.QuotaExhausted))]
    [InlineData(nameof(OutcomeKind.BadCredentials))]
    [InlineData(nameof(OutcomeKind.ModelAbsent))]
    public void Settle_NotAFailure_NeverCountsTowardsTheCircuit(string name)
    {
        var kind = Enum.Parse<OutcomeKind>(name);
        Live(OutcomeKind.ServerError, OutcomeKind.ServerError, kind, kind, kind);
        Assert.Equal((CircuitState.Closed, 2, 0.0), (_vitals.Circuit, _vitals.ConsecutiveFailures, Math.Floor(_vitals.FailureLoad - 2)));
    }

    [Fact]
    public void Settle_HalfOfTwentyRequestsFailed_Opens()
    {
        for (var i = 0; i < 9; i++)
        {
            Live(OutcomeKind.ServerError, OutcomeKind.Succeeded);
        }

        Assert.Equal(Transitions.None, Live(OutcomeKind.ServerError)); // 10 of 19: too few to judge by
        Assert.Equal(Transitions.Opened, Live(OutcomeKind.ServerError)); // 11 of 20
    }

    [Theory]
    [InlineData(29_000, true)] // 12 of 24
    [InlineData(33_000, true)] // of the stretch before 27 of 30 s are left: 10.9 of 21.7
    [InlineData(45_000, false)] // of the stretch before half is left: 13 requests
    [InlineData(90_000, false)]
    public void Settle_FailuresInThePast_CountByTheShareOfTheWindowTheyAreIn(int laterMs, bool opens)
    {
        Live(OutcomeKind.Succeeded);
        for (var i = 0; i < 11; i++)
        {
            Live(OutcomeKind.Succeeded, OutcomeKind.ServerError);
        }

        Assert.Equal(CircuitState.Closed, _vitals.Circuit);
        _nowMs += laterMs;
        Assert.Equal(opens, Live(OutcomeKind.ServerError) == Transitions.Opened);
    }

    [Theory]
    [InlineData(0.0, 4_000)]
    [InlineData(0.5, 5_000)]
    [InlineData(0.999, 5_998)]
    public void Settle_Opening_JitterStretchesTheCooldown(double roll, long expectedMs)
    {
        for (var i = 0; i < 3; i++)
        {
            Circuit.Settle(_vitals, NewLease(), new AttemptOutcome(OutcomeKind.ServerError), _options, _nowMs, roll);
        }

        Assert.Equal(_nowMs + expectedMs, _vitals.OpenUntilMs);
    }

    [Fact]
    public void Settle_TrialsFailing_DoubleTheCooldownToItsMaximum()
    {
        Open();
        var cooldowns = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(Transitions.TrialFailed, Trial(OutcomeKind.ServerError));
            cooldowns.Add(_vitals.OpenUntilMs - _nowMs);
        }

        Assert.Equal([10_000, 20_000, 40_000, 60_000, 60_000], cooldowns);
    }

    [Theory]
    [InlineData(59_000, 10_000)] // soon after recovery: it flaps
    [InlineData(60_000, 5_000)]
    public void Settle_TripAfterRecovery_DoublesOnlySoon(int laterMs, long expectedCooldownMs)
    {
        Open();
        Assert.Equal(Transitions.Closed, Trial(OutcomeKind.Succeeded));
        Assert.Equal(_nowMs, _vitals.RecoveredAtMs);
        _nowMs += laterMs;
        Open();
        Assert.Equal(expectedCooldownMs, _vitals.CooldownMs);
    }

    [Theory]
    [InlineData(nameof(OutcomeKind.ClientLeft))]
    [InlineData(nameof(OutcomeKind.Superseded))]
    [InlineData(nameof(OutcomeKind.CallerFault))]
    [InlineData(nameof(OutcomeKind.RateLimited))]
    [InlineData(nameof(OutcomeKind.ModelAbsent))]
    public void Settle_TrialWithoutVerdict_NextRequestMayTryAtOnce(string kind)
    {
        Open();
        var cooldownMs = _vitals.CooldownMs;
        Trial(Enum.Parse<OutcomeKind>(kind));
        Assert.Equal((CircuitState.Open, cooldownMs), (_vitals.Circuit, _vitals.CooldownMs));
        Assert.True(_vitals.OpenUntilMs <= _nowMs);
    }

    [Fact]
    public void Settle_LateOutcomes_DoNotMoveTheCircuitButWeigh()
    {
        var late = Enumerable.Range(0, 4).Select(_ => NewLease()).ToArray();
        Open();
        var (untilMs, epoch, load) = (_vitals.OpenUntilMs, _vitals.Epoch, _vitals.FailureLoad);
        Settle(late[0], OutcomeKind.Succeeded);
        Settle(late[1], OutcomeKind.ServerError);
        Assert.Equal((CircuitState.Open, untilMs, epoch), (_vitals.Circuit, _vitals.OpenUntilMs, _vitals.Epoch));
        Assert.Equal(load + 1, _vitals.FailureLoad);
        Assert.Equal(Transitions.Closed, Trial(OutcomeKind.Succeeded));
        Settle(late[2], OutcomeKind.ServerError);
        Settle(late[3], OutcomeKind.ServerError);
        Assert.Equal(0, _vitals.ConsecutiveFailures);
    }

    [Fact]
    public void Settle_SupersededTrial_IsIgnored()
    {
        Open();
        var first = BeginTrial();
        _nowMs = _vitals.TrialUntilMs;
        var second = BeginTrial();
        Assert.Equal(Transitions.None, Settle(first, OutcomeKind.ServerError));
        Assert.Equal(CircuitState.Trial, _vitals.Circuit);
        Assert.Equal(Transitions.Closed, Settle(second, OutcomeKind.Succeeded));
    }

    [Fact]
    public void Settle_Probes_OpenAndCloseButNeverWeigh()
    {
        Probe(OutcomeKind.ConnectFailed, OutcomeKind.ConnectFailed);
        Assert.Equal(Transitions.Opened, Probe(OutcomeKind.ConnectFailed));
        Assert.Equal((0.0, 0.0, 0), (_vitals.LatencyMs, _vitals.FailureLoad, _vitals.WindowRequests));
        Assert.Equal(Transitions.Closed, Probe(OutcomeKind.Succeeded));
        Assert.Equal(0, _vitals.LatencyMs);
        Assert.Equal(_nowMs, _vitals.RecoveredAtMs);
    }

    [Fact]
    public void Settle_ProbesAndRequestsFail_CountTogether()
    {
        Probe(OutcomeKind.TimedOut);
        Live(OutcomeKind.ServerError);
        Assert.Equal(Transitions.Opened, Probe(OutcomeKind.TimedOut));
    }

    [Fact]
    public void Settle_ProbePasses_TakesBackOnlyWhatProbesSaid()
    {
        _options = _options with { FailureThreshold = 10 };
        Probe(OutcomeKind.TimedOut);
        Live(OutcomeKind.ServerError, OutcomeKind.ServerError);
        Probe(OutcomeKind.TimedOut, OutcomeKind.Succeeded);
        Assert.Equal(2, _vitals.ConsecutiveFailures);
    }

    [Fact]
    public void Settle_ProbeFailsWhileOpen_ExtendsByLessThanTheTimeToTheNextProbe()
    {
        Open();
        _nowMs = _vitals.OpenUntilMs;
        Probe(OutcomeKind.ConnectFailed);
        Assert.Equal(_nowMs + 5_000, _vitals.OpenUntilMs);
        _options = _options with { HealthCheckInterval = TimeSpan.FromSeconds(2) };
        _nowMs = _vitals.OpenUntilMs;
        Probe(OutcomeKind.ConnectFailed);
        Assert.Equal(_nowMs + 1_000, _vitals.OpenUntilMs);
    }

    [Fact]
    public void Settle_ProbeIsRateLimited_IsNeitherFailureNorSuccess()
    {
        Probe(OutcomeKind.ConnectFailed, OutcomeKind.RateLimited, OutcomeKind.RateLimited);
        Assert.Equal((1, 0L), (_vitals.ConsecutiveFailures, _vitals.ParkedUntilMs));
    }

    [Fact]
    public void Settle_ProbePassesDuringTrial_ClosesAndTheTrialIsLate()
    {
        Open();
        var trial = BeginTrial();
        Assert.Equal(Transitions.Closed, Probe(OutcomeKind.Succeeded));
        Assert.Equal(Transitions.None, Settle(trial, OutcomeKind.ServerError));
        Assert.Equal(CircuitState.Closed, _vitals.Circuit);
    }

    [Fact]
    public void Settle_BadCredentials_MisconfiguredUntilSomethingPasses()
    {
        Assert.Equal(Transitions.Misconfigured, Probe(OutcomeKind.BadCredentials));
        Assert.Equal(Transitions.None, Live(OutcomeKind.BadCredentials));
        Assert.Equal(0, _vitals.ConsecutiveFailures);
        Assert.Equal(Transitions.CredentialsAccepted, Probe(OutcomeKind.Succeeded));
        Live(OutcomeKind.BadCredentials);
        Assert.Equal(Transitions.CredentialsAccepted, Live(OutcomeKind.Succeeded));
    }

    [Fact]
    public void Settle_BadCredentialsWithoutProbes_ParksInstead()
    {
        _options = _options with { HealthCheckEnabled = false };
        Live(OutcomeKind.BadCredentials);
        Assert.Equal(_nowMs + 300_000, _vitals.ParkedUntilMs);
    }

    [Theory]
    [InlineData(nameof(OutcomeKind.RateLimited), null, 1_000)]
    [InlineData(nameof(OutcomeKind.RateLimited), 0, 0)]
    [InlineData(nameof(OutcomeKind.RateLimited), 7, 7_000)]
    [InlineData(nameof(OutcomeKind.RateLimited), 86_400, 3_600_000)]
    [InlineData(nameof(OutcomeKind.QuotaExhausted), null, 300_000)]
    [InlineData(nameof(OutcomeKind.QuotaExhausted), 20, 300_000)]
    [InlineData(nameof(OutcomeKind.QuotaExhausted), 900, 900_000)]
    [InlineData(nameof(OutcomeKind.Overloaded), 3, 3_000)]
    public void Settle_AskedToBeLeftAlone_Parks(string kind, int? retryAfterSeconds, long expectedMs)
    {
        var outcome = new AttemptOutcome(Enum.Parse<OutcomeKind>(kind)) { RetryAfter = retryAfterSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null };
        Circuit.Settle(_vitals, NewLease(), outcome, _options, _nowMs, MiddleRoll);
        Assert.Equal(_nowMs + expectedMs, _vitals.ParkedUntilMs);
    }

    [Fact]
    public void Settle_ParkedForLonger_IsNotCutShort()
    {
        Live(OutcomeKind.QuotaExhausted);
        Assert.Equal(Transitions.None, Live(OutcomeKind.RateLimited));
        Assert.Equal(_nowMs + 300_000, _vitals.ParkedUntilMs);
    }

    [Fact]
    public void Settle_ModelsAbsent_AreRememberedInBounds()
    {
        for (var i = 0; i < 200; i++)
        {
            _nowMs++;
            Circuit.Settle(_vitals, NewLease($"model-{i}"), new AttemptOutcome(OutcomeKind.ModelAbsent), _options, _nowMs, MiddleRoll);
        }

        Assert.Equal(64, _vitals.AbsentModels!.Count);
        Assert.Equal(_nowMs + 60_000, _vitals.AbsentModels["model-199"]);
    }

    [Fact]
    public void Settle_LatencySamples_PeaksReplaceAndLowerOnesBlend()
    {
        Settle(NewLease(), new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 900, FirstTokenMs = 100 });
        Assert.Equal(100, _vitals.LatencyMs);
        Settle(NewLease(), new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 400 });
        Assert.Equal(400, _vitals.LatencyMs);
        _nowMs += 10_000;
        Settle(NewLease(), new AttemptOutcome(OutcomeKind.Succeeded) { DurationMs = 100 });
        Assert.Equal(100 + (300 * Math.Exp(-1)), _vitals.LatencyMs, 9);
    }

    [Fact]
    public void Settle_FastFailures_LookSlow()
    {
        _options = _options with { FailureThreshold = 1_000, FailureRatioMinimum = 1_000_000 };
        var seen = new List<double>();
        for (var i = 0; i < 8; i++)
        {
            Settle(NewLease(), new AttemptOutcome(OutcomeKind.ConnectFailed) { DurationMs = 2 });
            seen.Add(_vitals.LatencyMs);
        }

        Assert.Equal([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000], seen);
        Assert.Equal(8, _vitals.FailureLoad);
    }

    private void Open() => Live(OutcomeKind.ServerError, OutcomeKind.ServerError, OutcomeKind.ServerError);

    private Transitions Trial(OutcomeKind kind)
    {
        _nowMs = Math.Max(_nowMs, _vitals.OpenUntilMs);
        return Settle(BeginTrial(), kind);
    }

    private Lease BeginTrial()
    {
        Circuit.BeginTrial(_vitals, ++_lastLeaseId, TimeSpan.FromSeconds(60), _nowMs);
        return new Lease(Pools.Of("round_robin", 1), 0, _lastLeaseId, _vitals.Epoch, isTrial: true) { Model = "m" };
    }

    private Lease NewLease(string model = "m") =>
        new(Pools.Of("round_robin", 1), 0, ++_lastLeaseId, _vitals.Epoch, isTrial: false) { Model = model };

    private Transitions Live(params OutcomeKind[] kinds) => Array.ConvertAll(kinds, kind => Settle(NewLease(), kind))[^1];

    private Transitions Probe(params OutcomeKind[] kinds) =>
        Array.ConvertAll(kinds, kind => Settle(Lease.ForProbe(Pools.Of("round_robin", 1), 0), kind))[^1];

    private Transitions Settle(Lease lease, OutcomeKind kind) => Settle(lease, new AttemptOutcome(kind) { DurationMs = 10 });

    private Transitions Settle(Lease lease, AttemptOutcome outcome) =>
        Circuit.Settle(_vitals, lease, outcome, _options, _nowMs, MiddleRoll);
}
