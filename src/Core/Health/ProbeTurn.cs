using Roadbalancer.Backends;
using Roadbalancer.State;

namespace Roadbalancer.Health;

/// <summary>Whose turn it is to probe: the only instance's, or that of whichever asks first in each interval.</summary>
/// <param name="shared">What the instances share; null for one alone.</param>
internal sealed class ProbeTurn(RedisState? shared)
{
    /// <summary>Part of the interval that a turn lasts: the rest is room for the jitter of the instance that took it.</summary>
    private const double Share = 0.85;

    /// <summary>True when this instance is to probe <paramref name="pool"/> now. A pool that changed is probed anew; a Redis that does not answer stops nobody.</summary>
    public ValueTask<bool> TakeAsync(Pool pool) =>
        shared is null ? new(true) : shared.TakeProbeTurnAsync(pool, pool.Options.HealthCheckInterval * Share);
}
