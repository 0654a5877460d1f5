namespace Roadbalancer.Tests.Support;

/// <summary>Keeps what is to go on until it is told to, as a pool does that has no thread free.</summary>
internal sealed class HeldContext : SynchronizationContext
{
    private readonly System.Collections.Concurrent.ConcurrentQueue<Action> _held = new();

    /// <summary>How much waits.</summary>
    public int Count => _held.Count;

    public override void Post(SendOrPostCallback d, object? state) => _held.Enqueue(() => d(state));

    /// <summary>What <paramref name="begin"/> gives, begun here.</summary>
    public T Begin<T>(Func<T> begin)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            return begin();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    public void Run()
    {
        while (_held.TryDequeue(out var next))
        {
            next();
        }
    }
}
