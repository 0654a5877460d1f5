using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>Something to be said to the shared store about one pool; several go there in one call.</summary>
internal abstract class Errand(Pool pool)
{
    public Pool Pool { get; } = pool;

    /// <summary>When it began to wait; a timestamp of <see cref="Gathering"/>'s.</summary>
    public long Since { get; set; }

    /// <summary>Somebody can do nothing else until it is answered.</summary>
    public virtual bool IsUrgent => false;

    /// <summary>Tells whoever waits that it is done, or, with a <paramref name="fault"/>, that it may not be.</summary>
    public abstract void End(Exception? fault);
}
