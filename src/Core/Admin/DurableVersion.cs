namespace Roadbalancer.Admin;

/// <summary>Which version of the run-time changes is kept where a restart of all instances finds it again. Whoever keeps them tells.</summary>
internal sealed class DurableVersion
{
    private long _kept;

    /// <summary>Tells that <paramref name="version"/>, and with it every one before, is kept.</summary>
    public void Keep(long version)
    {
        var known = Volatile.Read(ref _kept);
        while (version > known && Interlocked.CompareExchange(ref _kept, version, known) is var met && met != known)
        {
            known = met;
        }
    }

    /// <summary>Whether <paramref name="version"/> is kept; 0 stands for no changes, which need no keeping.</summary>
    public bool IsKept(long version) => version <= Volatile.Read(ref _kept);
}
