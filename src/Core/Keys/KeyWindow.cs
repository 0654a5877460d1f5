using Roadbalancer.Options;

namespace Roadbalancer.Keys;

/// <summary>
/// One key's last 60 seconds, by the second: what falls into the present second or one of the 60 before it counts, so that no stretch of
/// 60 s, wherever it begins, ever has more than the limit. Arithmetic only; <c>Lua/keys_window.lua</c> does the same for many instances.
/// Not synchronised.
/// </summary>
internal sealed class KeyWindow
{
    /// <summary>Seconds that count: 60 whole ones and the present one.</summary>
    public const int Span = 61;

    private const int Cells = 64;

    private readonly long[] _requests = new long[Cells];
    private readonly long[] _tokens = new long[Cells];
    private readonly HashSet<long> _held = [];
    private long _second;
    private long _usedAt = -Span;
    private long _usedRequests;
    private long _usedTokens;

    /// <summary>Nothing in it counts any more.</summary>
    public bool IsIdle(long nowMs) => _held.Count == 0 && nowMs / 1000 - _usedAt >= Span;

    public KeyVerdict Reserve(KeyLimits limits, long tokens, long hold, long nowMs)
    {
        Advance(nowMs);
        var overRequests = limits.RequestsPerMinute is { } mostRequests ? _usedRequests + 1 - mostRequests : 0;
        var overTokens = limits.TokensPerMinute is { } mostTokens ? _usedTokens + tokens - mostTokens : 0;
        var refusal = tokens > limits.TokensPerMinute ? KeyRefusal.TooLarge
            : overRequests > 0 ? KeyRefusal.Requests
            : overTokens > 0 ? KeyRefusal.Tokens
            : _held.Count >= limits.MaxConcurrency ? KeyRefusal.Concurrency
            : KeyRefusal.None;
        var wait = 0L;
        if (refusal == KeyRefusal.None)
        {
            if (limits.RequestsPerMinute is not null || limits.TokensPerMinute is not null)
            {
                Add(1, tokens);
            }

            if (limits.MaxConcurrency is not null)
            {
                _held.Add(hold);
            }
        }
        else if (refusal != KeyRefusal.TooLarge)
        {
            wait = refusal == KeyRefusal.Concurrency ? 1_000 : WaitFor(overRequests, overTokens, nowMs);
        }

        return new KeyVerdict(refusal)
        {
            UsedRequests = _usedRequests,
            UsedTokens = _usedTokens,
            Wait = TimeSpan.FromMilliseconds(wait),
            Reset = TimeSpan.FromMilliseconds(Math.Max(0, (_usedAt + Span) * 1000 - nowMs)),
            Second = _second,
            Hold = limits.MaxConcurrency is null ? 0 : hold,
        };
    }

    /// <summary>What was used less goes back to its second; what was used more counts from now.</summary>
    public void Settle(in KeyVerdict verdict, long reserved, long used, long nowMs)
    {
        _held.Remove(verdict.Hold);
        Advance(nowMs);
        if (used > reserved)
        {
            Add(0, used - reserved);
        }
        else if (verdict.Second > _second - Span && verdict.Second <= _second)
        {
            var cell = verdict.Second % Cells;
            var back = Math.Min(_tokens[cell], reserved - used);
            _tokens[cell] -= back;
            _usedTokens -= back;
        }
    }

    private void Add(long requests, long tokens)
    {
        var cell = _second % Cells;
        _requests[cell] += requests;
        _tokens[cell] += tokens;
        _usedRequests += requests;
        _usedTokens += tokens;
        _usedAt = _second;
    }

    private void Advance(long nowMs)
    {
        // A clock that goes back stands still here.
        var second = Math.Max(_second, nowMs / 1000);
        for (var gone = Math.Max(_second - Span + 1, second - Span - Cells); gone <= second - Span; gone++)
        {
            var cell = (gone + Cells) % Cells;
            _usedRequests -= _requests[cell];
            _usedTokens -= _tokens[cell];
            _requests[cell] = _tokens[cell] = 0;
        }

        _second = second;
    }

    /// <summary>Until enough of the oldest seconds have gone.</summary>
    private long WaitFor(long requests, long tokens, long nowMs)
    {
        var second = _second - Span + 1;
        for (; second < _second && (requests > 0 || tokens > 0); second++)
        {
            var cell = (second + Cells) % Cells;
            requests -= _requests[cell];
            tokens -= _tokens[cell];
        }

        // At least the present second has to go where all before it do not suffice.
        var last = requests > 0 || tokens > 0 ? _second : second - 1;
        return Math.Max(1, (last + Span) * 1000 - nowMs);
    }
}
