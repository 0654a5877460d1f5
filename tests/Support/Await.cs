namespace Roadbalancer.Tests.Support;

/// <summary>The one place in the tests that looks at the clock again and again: for conditions that nothing announces.</summary>
internal static class Await
{
    private static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    /// <summary>Returns as soon as <paramref name="condition"/> holds; fails the test when it does not within the limit.</summary>
    /// <param name="what">Completes the sentence «Waited in vain until …».</param>
    /// <param name="limit">Default 10 s.</param>
    public static Task Until(Func<bool> condition, string what, TimeSpan? limit = null) => Until(() => Task.FromResult(condition()), what, limit);

    /// <inheritdoc cref="Until(Func{bool}, string, TimeSpan?)"/>
    public static async Task Until(Func<Task<bool>> condition, string what, TimeSpan? limit = null)
    {
        var time = TimeProvider.System;
        var start = time.GetTimestamp();
        var longest = limit ?? DefaultLimit;
        while (!await condition())
        {
            if (time.GetElapsedTime(start) >= longest)
            {
                Assert.Fail($"Waited in vain until {what} (for {longest.TotalSeconds:0.#} s).");
            }

            await Task.Delay(Step, time, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>The task's result; fails the test when it is not there within the limit.</summary>
    /// <param name="what">Completes the sentence «Waited in vain for …».</param>
    /// <param name="limit">Default 10 s.</param>
    public static async Task<T> For<T>(Task<T> task, string what, TimeSpan? limit = null)
    {
        await For((Task)task, what, limit);
        return await task;
    }

    /// <inheritdoc cref="For{T}(Task{T}, string, TimeSpan?)"/>
    public static async Task For(Task task, string what, TimeSpan? limit = null)
    {
        try
        {
            await task.WaitAsync(limit ?? DefaultLimit, TimeProvider.System, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            Assert.Fail($"Waited in vain for {what} (for {(limit ?? DefaultLimit).TotalSeconds:0.#} s).");
        }
    }
}
