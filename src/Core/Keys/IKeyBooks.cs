using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>Which of a key's limits a request would break.</summary>
internal enum KeyRefusal
{
    /// <summary>None: what was asked for is reserved.</summary>
    None,

    /// <summary><c>requests_per_minute</c>.</summary>
    Requests,

    /// <summary><c>tokens_per_minute</c>.</summary>
    Tokens,

    /// <summary><c>max_concurrency</c>.</summary>
    Concurrency,

    /// <summary>More tokens at once than <c>tokens_per_minute</c> allows in a whole minute: waiting does not help.</summary>
    TooLarge,
}

/// <summary>What a request asks of its key.</summary>
/// <param name="Pool">The pool's name.</param>
/// <param name="Key">Whose limits count.</param>
/// <param name="Tokens">Tokens that it may use; 0 where they are not counted.</param>
internal readonly record struct KeyDemand(string Pool, ClientKey Key, long Tokens);

/// <summary>The answer to a <see cref="KeyDemand"/>, and where the key stands after it.</summary>
internal readonly record struct KeyVerdict(KeyRefusal Refusal)
{
    /// <summary>Requests of the last 60 s, an admitted one included.</summary>
    public long UsedRequests { get; init; }

    /// <summary>Tokens reserved or used in the last 60 s, those of an admitted one included.</summary>
    public long UsedTokens { get; init; }

    /// <summary>After how long the same demand can be met, if nobody else asks; zero when it was.</summary>
    public TimeSpan Wait { get; init; }

    /// <summary>After how long nothing is counted any more.</summary>
    public TimeSpan Reset { get; init; }

    /// <summary>The second, on the store's clock, in which tokens were reserved.</summary>
    public long Second { get; init; }

    /// <summary>The number of the place among those at the same time; 0 where they are not counted.</summary>
    public long Hold { get; init; }

    /// <summary>It was given by the store that instances share.</summary>
    public bool IsShared { get; init; }
}

/// <summary>Keeps what each key has used of its limits. Safe for concurrent use; nothing is thrown for what a store does.</summary>
internal interface IKeyBooks
{
    /// <summary>Reserves all that is asked for, or nothing; null when the store does not answer.</summary>
    ValueTask<KeyVerdict?> ReserveAsync(KeyDemand demand);

    /// <summary>Gives back the place of an admitted demand, and puts what was really used in place of the tokens reserved.</summary>
    ValueTask SettleAsync(KeyDemand demand, KeyVerdict verdict, long tokens);
}
