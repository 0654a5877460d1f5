using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.State;

/// <summary>
/// The one boundary to what instances share: load, turns, latency, failures, circuits and statistics.
/// Every method is safe for concurrent use; none throws for what a backend or a store does.
/// </summary>
internal interface IBalancerState
{
    /// <summary>
    /// Chooses a backend and reserves a place on it in one step, or returns null when none of the candidates can take the request now;
    /// <see cref="ReadAsync"/> then tells why and until when.
    /// </summary>
    ValueTask<Lease?> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Gives the place back and settles what happened: load, latency, tokens, failure counts, circuit, parking. Takes no token: a lease
    /// always goes back. A probe's outcome comes this way too, on a lease from <see cref="Lease.ForProbe"/>.
    /// </summary>
    ValueTask ReleaseAsync(Lease lease, AttemptOutcome outcome);

    /// <summary>What is known of every backend of the pool at this moment.</summary>
    ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken);

    /// <summary>As <see cref="ReadAsync"/> for the backends of <paramref name="pool"/> alone and without what was counted of them: a tenth of the work.</summary>
    ValueTask<PoolSnapshot> ReadVitalsAsync(Pool pool, CancellationToken cancellationToken);
}
