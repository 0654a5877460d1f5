namespace Roadbalancer.Health;

/// <summary>A circuit's state. Open turns half-open by the clock alone: <see cref="Vitals.OpenUntilMs"/>.</summary>
internal enum CircuitState
{
    /// <summary>Requests flow.</summary>
    Closed,

    /// <summary>No requests until <see cref="Vitals.OpenUntilMs"/>; then one trial.</summary>
    Open,

    /// <summary>A trial is under way; no other request.</summary>
    Trial,
}

/// <summary>
/// Everything about one backend that a decision needs, as plain numbers on the store's clock. In memory a store guards it with
/// its lock; a snapshot holds a copy. <see cref="Circuit"/> has the arithmetic.
/// </summary>
internal sealed class Vitals
{
    /// <summary>Requests that hold a lease.</summary>
    public int InFlight { get; set; }

    /// <summary>Failures since the last success, of probes and requests alike.</summary>
    public int ConsecutiveFailures { get; set; }

    /// <summary>How many of <see cref="ConsecutiveFailures"/> were probes: a passing probe takes back these alone.</summary>
    public int ProbeFailures { get; set; }

    public CircuitState Circuit { get; set; }

    /// <summary>Grows with every change of <see cref="Circuit"/>.</summary>
    public long Epoch { get; set; }

    /// <summary>When an open circuit lets a trial through.</summary>
    public long OpenUntilMs { get; set; }

    /// <summary>The cooldown in force, before jitter, in milliseconds; 0 before the first trip.</summary>
    public long CooldownMs { get; set; }

    /// <summary>How often the circuit has opened.</summary>
    public long Trips { get; set; }

    /// <summary>The lease of the running trial.</summary>
    public long TrialLeaseId { get; set; }

    /// <summary>When a trial that has not come back is given up and another may start.</summary>
    public long TrialUntilMs { get; set; }

    /// <summary>When the circuit last closed again; 0 for never. Slow start counts from here.</summary>
    public long RecoveredAtMs { get; set; }

    /// <summary>The backend asked to be left alone until then.</summary>
    public long ParkedUntilMs { get; set; }

    /// <summary>It refused our credentials, and nothing has passed since. Takes it out only where probes can bring it back.</summary>
    public bool Misconfigured { get; set; }

    /// <summary>Models that it said it does not have, each with the time at which it may be asked again; null for none.</summary>
    public Dictionary<string, long>? AbsentModels { get; set; }

    /// <summary>Start of the present stretch, one failure window long; the one before counts by the share of it that the window still covers.</summary>
    public long WindowStartMs { get; set; }

    public int WindowRequests { get; set; }

    public int WindowFailures { get; set; }

    public int PreviousWindowRequests { get; set; }

    public int PreviousWindowFailures { get; set; }

    /// <summary>See <see cref="Strategies.Candidate.FailureLoad"/>, as of <see cref="FailureLoadAtMs"/>.</summary>
    public double FailureLoad { get; set; }

    public long FailureLoadAtMs { get; set; }

    /// <summary>See <see cref="Strategies.Candidate.LatencyMs"/>.</summary>
    public double LatencyMs { get; set; }

    public long LatencyAtMs { get; set; }

    /// <summary>See <see cref="Strategies.Candidate.Balance"/>.</summary>
    public long Balance { get; set; }

    /// <summary>Becomes the same as <paramref name="other"/>, which must not be used any more.</summary>
    public void Take(Vitals other)
    {
        (InFlight, Balance) = (other.InFlight, other.Balance);
        (ConsecutiveFailures, ProbeFailures) = (other.ConsecutiveFailures, other.ProbeFailures);
        (Circuit, Epoch, OpenUntilMs, CooldownMs, Trips) = (other.Circuit, other.Epoch, other.OpenUntilMs, other.CooldownMs, other.Trips);
        (TrialLeaseId, TrialUntilMs, RecoveredAtMs) = (other.TrialLeaseId, other.TrialUntilMs, other.RecoveredAtMs);
        (ParkedUntilMs, Misconfigured, AbsentModels) = (other.ParkedUntilMs, other.Misconfigured, other.AbsentModels);
        (WindowStartMs, WindowRequests, WindowFailures) = (other.WindowStartMs, other.WindowRequests, other.WindowFailures);
        (PreviousWindowRequests, PreviousWindowFailures) = (other.PreviousWindowRequests, other.PreviousWindowFailures);
        (FailureLoad, FailureLoadAtMs) = (other.FailureLoad, other.FailureLoadAtMs);
        (LatencyMs, LatencyAtMs) = (other.LatencyMs, other.LatencyAtMs);
    }

    public Vitals Copy()
    {
        var copy = (Vitals)MemberwiseClone();
        copy.AbsentModels = AbsentModels is null ? null : new Dictionary<string, long>(AbsentModels, AbsentModels.Comparer);
        return copy;
    }
}
