using System.Threading.Tasks.Sources;
using Roadbalancer.Proxy;

namespace Roadbalancer.State;

/// <summary>An outcome on its way to the store.</summary>
internal sealed class OutcomeErrand : Errand, IValueTaskSource
{
    // Of a request nobody waits for it but the state itself, which only takes note. Who waits for a probe's goes on with other things.
    private ManualResetValueTaskSourceCore<bool> _answer;

    /// <param name="lease">Given back with it, unless it is a probe's.</param>
    /// <param name="outcome">How it ended.</param>
    /// <param name="birth">The store's number when the lease was taken: in a store that began anew since, there is no lease to give back.</param>
    /// <param name="jitterRoll">Uniform in [0, 1): lengthens or shortens a cooldown.</param>
    public OutcomeErrand(Lease lease, AttemptOutcome outcome, double birth, double jitterRoll)
        : base(lease.Pool)
    {
        (Lease, Outcome, Birth, JitterRoll) = (lease, outcome, birth, jitterRoll);
        _answer.RunContinuationsAsynchronously = lease.IsProbe;
    }

    public Lease Lease { get; }

    public AttemptOutcome Outcome { get; }

    public double Birth { get; }

    public double JitterRoll { get; }

    public ValueTask Answer => new(this, _answer.Version);

    public override void End(Exception? fault)
    {
        if (fault is null)
        {
            _answer.SetResult(true);
        }
        else
        {
            _answer.SetException(fault);
        }
    }

    void IValueTaskSource.GetResult(short token) => _answer.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);
}
