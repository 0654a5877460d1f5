namespace Roadbalancer.Client;

/// <summary>The one place where a thread waits for asynchronous work, for callers that cannot await.</summary>
internal static class Blocking
{
    /// <summary>
    /// Waits for <paramref name="work"/>. It begins on the thread pool, so no part of it needs the caller's thread, synchronization context or task
    /// scheduler, which is what deadlocks are made of; and the wait tells the pool that it lost a thread, should the caller be one of its own.
    /// </summary>
#pragma warning disable RS0030 // Waiting is its purpose; no request of a server passes here.
    public static T Wait<T>(Func<Task<T>> work) => Task.Run(work).GetAwaiter().GetResult();

    /// <inheritdoc cref="Wait{T}(Func{Task{T}})"/>
    public static void Wait(Func<Task> work) => Task.Run(work).GetAwaiter().GetResult();
#pragma warning restore RS0030
}
