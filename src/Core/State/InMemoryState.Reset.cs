using Roadbalancer.Backends;
using Roadbalancer.Health;

namespace Roadbalancer.State;

/// <content>Forgetting on request.</content>
internal sealed partial class InMemoryState
{
    /// <summary>Forgets what stands against the backend; see <see cref="Circuit.Reset"/>.</summary>
    public void Reset(Pool pool, int index)
    {
        lock (_lock)
        {
            Circuit.Reset(BooksNeedsLock(pool.Name).ViewOf(pool).Entries[index].Vitals, NowMs());
        }
    }
}
