using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>Has every store forget what stands against a backend.</summary>
/// <param name="memory">This process's own.</param>
/// <param name="shared">What the instances share; null for one alone.</param>
internal sealed class StateReset(InMemoryState memory, RedisState? shared = null)
{
    /// <returns>True when it is so for all instances; false when Redis did not answer and it is so here alone.</returns>
    public async ValueTask<bool> ResetAsync(Pool pool, int index)
    {
        memory.Reset(pool, index);
        try
        {
            await (shared?.ResetAsync(pool, index) ?? default);
            return true;
        }
        catch (SharedStateException)
        {
            return false;
        }
    }
}
