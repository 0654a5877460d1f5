namespace Roadbalancer.Keys;

/// <summary>What has been counted of one key.</summary>
/// <param name="Requests">Requests that were let in, whatever became of them.</param>
/// <param name="Refusals">Requests that the key's limits refused.</param>
/// <param name="InputTokens">Prompt tokens as answers reported them.</param>
/// <param name="OutputTokens">Completion tokens as answers reported them.</param>
internal readonly record struct KeyCounts(long Requests, long Refusals, long InputTokens, long OutputTokens)
{
    public static KeyCounts operator +(KeyCounts a, KeyCounts b) =>
        new(a.Requests + b.Requests, a.Refusals + b.Refusals, a.InputTokens + b.InputTokens, a.OutputTokens + b.OutputTokens);
}

/// <summary>What a store has counted of one key.</summary>
/// <param name="Counts">Since these counters began.</param>
/// <param name="Birth">The number of these counters' life: others of the same key, begun anew, have another. Never 0.</param>
internal readonly record struct CountedKey(KeyCounts Counts, long Birth);

/// <summary>Counts one key's requests at this instance. Safe for concurrent use.</summary>
/// <param name="birth">As <see cref="CountedKey.Birth"/>.</param>
internal sealed class KeyCounter(long birth)
{
    private long _requests;
    private long _refusals;
    private long _inputTokens;
    private long _outputTokens;
    private long _refusedAt = long.MinValue;

    /// <summary>When a limit last refused a request, on <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long RefusedAt => Interlocked.Read(ref _refusedAt);

    public KeyCounts Counts => new(
        Interlocked.Read(ref _requests), Interlocked.Read(ref _refusals), Interlocked.Read(ref _inputTokens), Interlocked.Read(ref _outputTokens));

    public long Birth => birth;

    public void Admit(long inputTokens, long outputTokens)
    {
        Interlocked.Increment(ref _requests);
        if (inputTokens != 0 || outputTokens != 0)
        {
            Interlocked.Add(ref _inputTokens, inputTokens);
            Interlocked.Add(ref _outputTokens, outputTokens);
        }
    }

    public void Refuse(long at)
    {
        Interlocked.Increment(ref _refusals);
        Interlocked.Exchange(ref _refusedAt, at);
    }

    /// <summary>What has been counted since the last call.</summary>
    public KeyCounts Take() => new(
        Interlocked.Exchange(ref _requests, 0), Interlocked.Exchange(ref _refusals, 0), Interlocked.Exchange(ref _inputTokens, 0), Interlocked.Exchange(ref _outputTokens, 0));
}
