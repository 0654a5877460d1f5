using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using StackExchange.Redis;

namespace Roadbalancer.Keys;

/// <summary>
/// The books that instances share: each reservation is one script, on the server's clock. Tokens reserved by an instance that died leave the
/// window within 61 s like any others; its places among those at the same time expire after <see cref="HoldMs"/>.
/// </summary>
internal sealed class RedisKeyBooks : IKeyBooks, IAsyncDisposable
{
    /// <summary>How long a place is held without being renewed, in milliseconds.</summary>
    public const long HoldMs = 30_000;

    private const long HoldIds = 1L << 52;

    private static readonly TimeSpan RenewalPeriod = TimeSpan.FromMilliseconds(HoldMs / 3.0);
    private static readonly RedisScript Reserve = RedisScript.Compose("keys_window", "keys_reserve");
    private static readonly RedisScript Settle = RedisScript.Compose("keys_window", "keys_settle");
    private static readonly RedisScript Renew = RedisScript.Compose("keys_renew");

    private readonly RedisLink _link;
    private readonly string _prefix;
    private readonly Func<long>? _clock;
    private readonly ITimer _renewal;
    private readonly ConcurrentDictionary<(string Pool, string Name), RedisKey[]> _keys = new();
    private readonly ConcurrentDictionary<long, RedisKey[]> _held = new();
    private long _lastHold;

    /// <param name="link">The connection.</param>
    /// <param name="prefix">Begins every key: <c>REDIS_KEY_PREFIX</c>.</param>
    /// <param name="time">Paces the renewal of what is held.</param>
    /// <param name="chance">Where the numbers of requests begin.</param>
    /// <param name="clock">A test's clock in Unix milliseconds; null for the server's.</param>
    public RedisKeyBooks(RedisLink link, string prefix, TimeProvider time, Chance chance, Func<long>? clock = null)
    {
        (_link, _prefix, _clock) = (link, prefix, clock);
        _lastHold = (long)(chance.NextBits() % HoldIds);
        _renewal = time.CreateTimer(_ => _ = RenewAsync(), null, RenewalPeriod, RenewalPeriod);
    }

    public async ValueTask<KeyVerdict?> ReserveAsync(KeyDemand demand)
    {
        var limits = demand.Key.Limits;
        var keys = KeysOf(demand);
        var hold = Interlocked.Increment(ref _lastHold);
        var reply = await _link.EvaluateAsync(Reserve, keys,
        [
            SharedView.Pack(Clock(), limits.RequestsPerMinute ?? -1, limits.TokensPerMinute ?? -1, limits.MaxConcurrency ?? -1, demand.Tokens, hold, HoldMs),
        ]);
        if (reply.Fault is not null)
        {
            if (limits.MaxConcurrency is not null)
            {
                // An answer that comes too late may still grant the place; what is sent after it is done after it.
                _ = FreeAsync(keys, hold).AsTask();
            }

            return null;
        }

        var told = reply.Bytes;
        var refusal = (KeyRefusal)BinaryPrimitives.ReadUInt16LittleEndian(told);
        var isHeld = refusal == KeyRefusal.None && limits.MaxConcurrency is not null;
        if (isHeld)
        {
            _held[hold] = keys;
        }

        return new KeyVerdict(refusal)
        {
            UsedRequests = Number(told, 0),
            UsedTokens = Number(told, 1),
            Wait = TimeSpan.FromMilliseconds(Number(told, 2)),
            Reset = TimeSpan.FromMilliseconds(Number(told, 3)),
            Second = Number(told, 4),
            Hold = isHeld ? hold : 0,
            IsShared = true,
        };
    }

    public async ValueTask SettleAsync(KeyDemand demand, KeyVerdict verdict, long tokens)
    {
        _held.TryRemove(verdict.Hold, out _);
        var countsTokens = demand.Key.Limits.TokensPerMinute is not null;
        if (verdict.Hold == 0 && (!countsTokens || tokens == demand.Tokens))
        {
            return;
        }

        // Not sent again: what is lost was reserved, so that a limit is kept too strictly for a minute at the most.
        await _link.EvaluateAsync(Settle, KeysOf(demand), [SharedView.Pack(Clock(), countsTokens ? verdict.Second : -1, demand.Tokens, tokens, verdict.Hold)]);
    }

    public ValueTask DisposeAsync() => _renewal.DisposeAsync();

    private static long Number(byte[] told, int index) => (long)BinaryPrimitives.ReadDoubleLittleEndian(told.AsSpan(2 + (8 * index)));

    private double Clock() => _clock?.Invoke() ?? -1;

    private async Task RenewAsync()
    {
        foreach (var holds in _held.GroupBy(pair => pair.Value))
        {
            await _link.EvaluateAsync(Renew, [holds.Key[1]], [SharedView.Pack(Clock(), HoldMs), .. holds.Select(pair => (RedisValue)pair.Key)]);
            foreach (var (hold, keys) in holds.Where(pair => !_held.ContainsKey(pair.Key)))
            {
                // Ended while it was being renewed, which may have put it back.
                await FreeAsync(keys, hold);
            }
        }
    }

    private ValueTask<RedisReply> FreeAsync(RedisKey[] keys, long hold) => _link.EvaluateAsync(Settle, keys, [SharedView.Pack(Clock(), -1, 0, 0, hold)]);

    /// <summary>Named by digest: a key's name may have any character in it.</summary>
    private RedisKey[] KeysOf(in KeyDemand demand) => _keys.GetOrAdd((demand.Pool, demand.Key.Name), static (of, prefix) =>
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(of.Name.ToLowerInvariant())).AsSpan(0, 8));
        var window = $"{prefix}{{{of.Pool}}}:key:{digest}";
        return [window, window + ":held"];
    }, _prefix);
}
