using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Health;

/// <summary>
/// What an outcome does to a backend's <see cref="Vitals"/>: pure arithmetic, repeated number for number by the scripts of the shared
/// store. The caller holds whatever guards the vitals.
/// </summary>
/// <remarks>
/// <para>Only an outcome of the present epoch moves the circuit: a request begun before the circuit last changed says what was true
/// then. A late one still counts as load, latency and in the statistics. A probe has no epoch; that one begun before the circuit opened
/// may close it is accepted: the next failures open it again, for longer.</para>
/// <para>The cooldown doubles with each failed trial, and with a trip less than <c>cooldown_max</c> after the last recovery (a backend
/// that flaps stays out longer); any other trip begins with the base. It never ends earlier than it already would.</para>
/// </remarks>
internal static partial class Circuit
{
    private const double LeastJitter = 0.8;
    private const double JitterSpan = 0.4;

    /// <summary>Makes the lease <paramref name="leaseId"/> the one that tries the half-open circuit. A trial not back by then is given up: its outcome is of an older epoch.</summary>
    public static void BeginTrial(Vitals vitals, long leaseId, TimeSpan timeout, long nowMs)
    {
        vitals.Circuit = CircuitState.Trial;
        vitals.Epoch++;
        vitals.TrialLeaseId = leaseId;
        vitals.TrialUntilMs = nowMs + (long)timeout.TotalMilliseconds;
    }

    /// <summary>Settles everything but the place in flight, and says what changed.</summary>
    /// <param name="vitals">Changed in place.</param>
    /// <param name="lease">Whose outcome it is.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="options">Thresholds and times in force.</param>
    /// <param name="nowMs">The store's clock.</param>
    /// <param name="jitterRoll">Uniform in [0, 1): stretches a cooldown by 0.8 to 1.2.</param>
    public static Transitions Settle(Vitals vitals, Lease lease, AttemptOutcome outcome, BalancerOptions options, long nowMs, double jitterRoll)
    {
        var blame = OutcomeTable.For(outcome.Kind).Blame;
        if (lease.IsProbe)
        {
            return SettleProbe(vitals, outcome, blame, options, nowMs, jitterRoll);
        }

        Weigh(vitals, outcome, blame, nowMs);
        var changed = Mark(vitals, lease.Model, outcome, blame, options, nowMs);
        return lease.Epoch == vitals.Epoch ? changed | Move(vitals, lease.IsTrial, blame, options, nowMs, jitterRoll) : changed;
    }

    /// <summary>A probe speaks of health only: never of load, latency or the failure ratio. One that is told 429 is alive and says no more.</summary>
    private static Transitions SettleProbe(
        Vitals vitals, AttemptOutcome outcome, Blame blame, BalancerOptions options, long nowMs, double jitterRoll)
    {
        if (blame == Blame.Park)
        {
            return Transitions.None;
        }

        var changed = Mark(vitals, model: null, outcome, blame, options, nowMs);
        if (blame == Blame.Praise)
        {
            // It takes back what probes said, not what requests said: a health path can work where the API does not.
            vitals.ConsecutiveFailures -= vitals.ProbeFailures;
            vitals.ProbeFailures = 0;
            return vitals.Circuit == CircuitState.Closed ? changed : changed | Close(vitals, nowMs);
        }

        if (blame == Blame.Failure)
        {
            vitals.ConsecutiveFailures++;
            vitals.ProbeFailures++;
            if (vitals.Circuit == CircuitState.Closed && vitals.ConsecutiveFailures >= options.FailureThreshold)
            {
                return changed | Trip(vitals, options, nowMs, jitterRoll);
            }

            if (vitals.Circuit == CircuitState.Open)
            {
                vitals.OpenUntilMs = Math.Max(vitals.OpenUntilMs, nowMs + ProbeExtensionMs(options));
            }
        }

        return changed;
    }

    /// <summary>
    /// How much longer a failing probe keeps an open circuit open: at most half of the time to the next probe, so that a backend whose
    /// health path alone is broken still gets its trial.
    /// </summary>
    private static long ProbeExtensionMs(BalancerOptions options) =>
        (long)Math.Min(options.Cooldown.TotalMilliseconds, options.HealthCheckInterval.TotalMilliseconds / 2);

    /// <summary>Moves the circuit by a request's outcome of the present epoch.</summary>
    private static Transitions Move(Vitals vitals, bool isTrial, Blame blame, BalancerOptions options, long nowMs, double jitterRoll)
    {
        if (blame == Blame.Praise)
        {
            vitals.ConsecutiveFailures = 0;
            vitals.ProbeFailures = 0;
            if (vitals.Circuit != CircuitState.Closed)
            {
                return Close(vitals, nowMs);
            }

            CountInWindow(vitals, failed: false, options, nowMs);
        }
        else if (blame == Blame.Failure)
        {
            vitals.ConsecutiveFailures++;
            if (isTrial)
            {
                return Reopen(vitals, options, nowMs, jitterRoll);
            }

            // A panic request through an open circuit that fails says nothing new.
            if (vitals.Circuit == CircuitState.Closed && CountInWindow(vitals, failed: true, options, nowMs))
            {
                return Trip(vitals, options, nowMs, jitterRoll);
            }
        }
        else if (isTrial)
        {
            // The trial ended without a verdict. The cooldown is over already, so the next request is a trial.
            vitals.Circuit = CircuitState.Open;
            vitals.Epoch++;
            vitals.TrialLeaseId = 0;
        }

        return Transitions.None;
    }

    private static Transitions Trip(Vitals vitals, BalancerOptions options, long nowMs, double jitterRoll)
    {
        var flaps = vitals.CooldownMs > 0 && vitals.RecoveredAtMs > 0
            && nowMs - vitals.RecoveredAtMs < options.CooldownMax.TotalMilliseconds;
        Open(vitals, flaps ? vitals.CooldownMs * 2 : (long)options.Cooldown.TotalMilliseconds, options, nowMs, jitterRoll);
        return Transitions.Opened;
    }

    private static Transitions Reopen(Vitals vitals, BalancerOptions options, long nowMs, double jitterRoll)
    {
        Open(vitals, vitals.CooldownMs * 2, options, nowMs, jitterRoll);
        return Transitions.TrialFailed;
    }

    private static void Open(Vitals vitals, long cooldownMs, BalancerOptions options, long nowMs, double jitterRoll)
    {
        vitals.CooldownMs = Math.Min(cooldownMs, (long)options.CooldownMax.TotalMilliseconds);
        vitals.OpenUntilMs = Math.Max(vitals.OpenUntilMs, nowMs + (long)(vitals.CooldownMs * (LeastJitter + (JitterSpan * jitterRoll))));
        vitals.Circuit = CircuitState.Open;
        vitals.Epoch++;
        vitals.Trips++;
        vitals.TrialLeaseId = 0;
        ClearWindow(vitals, nowMs);
    }

    private static Transitions Close(Vitals vitals, long nowMs)
    {
        vitals.Circuit = CircuitState.Closed;
        vitals.Epoch++;
        vitals.ConsecutiveFailures = 0;
        vitals.ProbeFailures = 0;
        vitals.OpenUntilMs = 0;
        vitals.TrialLeaseId = 0;
        vitals.RecoveredAtMs = nowMs;
        ClearWindow(vitals, nowMs);
        return Transitions.Closed;
    }
}
