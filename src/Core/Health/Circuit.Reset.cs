namespace Roadbalancer.Health;

/// <content>Forgetting on request.</content>
internal static partial class Circuit
{
    /// <summary>Forgets what stands against a backend. Load, latency and the number of trips stay; a request under way no longer moves the circuit.</summary>
    public static void Reset(Vitals vitals, long nowMs)
    {
        vitals.Circuit = CircuitState.Closed;
        vitals.Epoch++;
        vitals.ConsecutiveFailures = 0;
        vitals.ProbeFailures = 0;
        vitals.OpenUntilMs = 0;
        vitals.CooldownMs = 0;
        vitals.TrialLeaseId = 0;
        vitals.TrialUntilMs = 0;
        vitals.RecoveredAtMs = 0;
        vitals.ParkedUntilMs = 0;
        vitals.Misconfigured = false;
        vitals.AbsentModels = null;
        vitals.FailureLoad = 0;
        ClearWindow(vitals, nowMs);
    }
}
