using Microsoft.Extensions.Logging;
using Roadbalancer.Health;

namespace Roadbalancer.State;

/// <summary>Writes what a store reports to the log; subscribe <see cref="Report"/> to the store.</summary>
internal sealed partial class StateLog(ILogger<StateLog> logger)
{
    public void Report(StateChange change)
    {
        if (change.Kinds.HasFlag(Transitions.Opened))
        {
            LogOpened(change.Backend, change.OpenFor.TotalSeconds, change.Cause);
        }

        if (change.Kinds.HasFlag(Transitions.TrialFailed))
        {
            LogTrialFailed(change.Backend, change.OpenFor.TotalSeconds, change.Cause);
        }

        if (change.Kinds.HasFlag(Transitions.Closed))
        {
            LogClosed(change.Backend);
        }

        if (change.Kinds.HasFlag(Transitions.Misconfigured))
        {
            LogMisconfigured(change.Backend, change.Cause);
        }

        if (change.Kinds.HasFlag(Transitions.CredentialsAccepted))
        {
            LogCredentialsAccepted(change.Backend);
        }

        if (change.Kinds.HasFlag(Transitions.Parked))
        {
            LogParked(change.Backend, change.ParkedFor.TotalSeconds, change.Cause);
        }

        if (change.Kinds.HasFlag(Transitions.ModelAbsent))
        {
            LogModelAbsent(change.Backend, change.Model);
        }
    }
}
