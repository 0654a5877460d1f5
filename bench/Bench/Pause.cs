namespace Roadbalancer.Bench;

/// <summary>The real passing of time, which is all that a benchmark knows.</summary>
internal static class Pause
{
    public static Task ForAsync(TimeSpan length) => Task.Delay(length, TimeProvider.System);
}
