namespace Roadbalancer.State;

/// <summary>The shared store did not do what it was asked. <see cref="RedisState"/> alone throws it and <see cref="FallbackState"/> alone catches it.</summary>
internal sealed class SharedStateException(string reason) : Exception(reason)
{
    private int _counted;
    private int _seeded;

    /// <summary>It may do so yet: the call's time was over.</summary>
    public bool IsTimeout => Message.StartsWith(Redis.RedisLink.TimedOut, StringComparison.Ordinal);

    /// <summary>Whatever else is asked now meets the same: it is the server or the way to it, not what was asked.</summary>
    public bool ConcernsAll => IsTimeout || Message == Redis.RedisLink.Lost;

    /// <summary>True the first time only: many requests may wait for one call.</summary>
    public bool TryCount() => Interlocked.Exchange(ref _counted, 1) == 0;

    /// <summary>As <see cref="TryCount"/>, for giving memory what it is to decide upon.</summary>
    public bool TrySeed() => Interlocked.Exchange(ref _seeded, 1) == 0;
}
