namespace Roadbalancer.Simulation;

/// <summary>When each token is due. Counted from the request on, so that timers that fire late do not add up.</summary>
internal readonly struct Pace(SimulatedBackend profile, SimulatedFault fault, TimeProvider time)
{
    private readonly TimeSpan _first = fault.FirstTokenDelay ?? profile.FirstTokenDelay;
    private readonly double _tokensPerSecond = fault.TokensPerSecond ?? profile.TokensPerSecond;
    private readonly long _start = time.GetTimestamp();

    public bool HasFirstDelay => _first > TimeSpan.Zero;

    /// <summary>Waits until the token with this index is due; completes at once when there is nothing to wait for.</summary>
    public ValueTask WaitAsync(int index, CancellationToken cancellationToken)
    {
        var due = _tokensPerSecond > 0 ? _first + TimeSpan.FromSeconds(index / _tokensPerSecond) : _first;
        if (due == TimeSpan.Zero)
        {
            return default;
        }

        var wait = due - time.GetElapsedTime(_start);
        return wait > TimeSpan.Zero ? new(Task.Delay(wait, time, cancellationToken)) : default;
    }
}
