namespace Roadbalancer.Soak;

/// <summary>What a process holds that a leak would add to.</summary>
/// <param name="Sockets">Open sockets; 0 where the system does not tell. Other handles do not count: the runtime opens assemblies as they are needed.</param>
/// <param name="Timers">Timers that are set.</param>
/// <param name="WorkItems">What waits for a thread.</param>
internal readonly record struct ProcessLoad(int Sockets, long Timers, long WorkItems)
{
    private const string HandleFolder = "/proc/self/fd";

    public static ProcessLoad Now() => new(
        Directory.Exists(HandleFolder) ? Directory.GetFiles(HandleFolder).Count(IsSocket) : 0, Timer.ActiveCount, ThreadPool.PendingWorkItemCount);

    /// <summary>A few more timers and work items are the runtime's own.</summary>
    public bool IsNoMoreThan(ProcessLoad before) =>
        Sockets <= before.Sockets && Timers <= before.Timers + 5 && WorkItems <= before.WorkItems + 5;

    private static bool IsSocket(string handle)
    {
        try
        {
            return new FileInfo(handle).LinkTarget is { } target && target.StartsWith("socket:", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // Closed since the folder was read.
            return false;
        }
    }
}
