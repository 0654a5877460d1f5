using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.Stats;
using Roadbalancer.Strategies;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>
/// The store that instances share: each decision is one script, so that it is made once for all of them, on the server's clock.
/// docs/adr/0003-shared-state-in-redis.md tells the layout.
/// </summary>
/// <remarks>
/// Every method throws <see cref="SharedStateException"/> when Redis fails. What was not answered is not forgotten: a lease that may have
/// been taken is taken back, and an outcome is sent until it is answered (<see cref="CatchUpAsync"/>); the scripts see to it that it counts once.
/// </remarks>
internal sealed partial class RedisState : IBalancerState, IAsyncDisposable
{
    private const int MostTries = 3;
    private const int LongestModel = 256;
    private const int LongestError = 200;
    private const ulong LeaseIds = 1UL << 52;

    private readonly RedisLink _link;
    private readonly string _prefix;
    private readonly Chance _chance;
    private readonly Func<long>? _clock;
    private readonly ConditionalWeakTable<Pool, SharedView> _views = [];
    private readonly ConcurrentDictionary<string, KeySet> _keys = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private readonly Gathering _gathering;
    private readonly ITimer _renewal;
    private (Pool Pool, Task<SharedView> View)? _enrolling;
    private volatile Pool? _newest;
    private long _lastLeaseId;

    /// <param name="link">The connection.</param>
    /// <param name="prefix">Begins every key: <c>REDIS_KEY_PREFIX</c>.</param>
    /// <param name="time">Paces the renewal of leases.</param>
    /// <param name="chance">Where leases' numbers begin, and jitter.</param>
    /// <param name="clock">A test's clock in Unix milliseconds; null for the server's.</param>
    public RedisState(RedisLink link, string prefix, TimeProvider time, Chance chance, Func<long>? clock = null)
    {
        _link = link;
        _prefix = prefix;
        _chance = chance;
        _clock = clock;

        // Two instances whose numbers meet while both leases live: less likely than 1 in 10^9, and it costs one place for 30 s.
        _lastLeaseId = (long)(chance.NextBits() % LeaseIds);
        _gathering = new Gathering(time, link.Timeout, MostUrgentOf, CarryAsync, GiveUp);
        _renewal = time.CreateTimer(_ => _ = RenewQuietlyAsync(), null, RenewalPeriod, RenewalPeriod);
    }

    /// <summary>Raised after a release that changed a backend's standing, at the instance that released.</summary>
    public event Action<StateChange>? Changed;

    /// <summary>Raised with the version of the run-time changes of a pool that a reply told of.</summary>
    public event Action<string, long>? VersionSeen;

    public ValueTask<Lease?> AcquireAsync(AcquireRequest request, CancellationToken cancellationToken)
    {
        if (!_views.TryGetValue(request.Pool, out var view))
        {
            return AcquireUnseenAsync(request);
        }

        var errand = new LeaseErrand(request, NextLeaseId(), view);
        if (!errand.HasBackends)
        {
            return default;
        }

        _gathering.Add(errand);
        return errand.Answer;
    }

    public ValueTask ReleaseAsync(Lease lease, AttemptOutcome outcome) => lease.TryReturn() ? SettleAsync(lease, outcome) : default;

    public async ValueTask<PoolSnapshot> ReadAsync(string pool, CancellationToken cancellationToken)
    {
        var reply = await _link.EvaluateAsync(StateScripts.Read, KeysOf(pool).Reading, [SharedView.Pack(Clock())]);
        return reply.Fault is { } fault ? throw new SharedStateException(fault) : SharedRecords.Decode(pool, reply.Parts, _newest);
    }

    public async ValueTask<PoolSnapshot> ReadVitalsAsync(Pool pool, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            var view = await ViewAsync(pool);
            var reply = await _link.EvaluateAsync(StateScripts.Read, KeysOf(pool.Name).Choice, [SharedView.Pack(Clock())]);
            if (reply.Fault is { } fault)
            {
                throw new SharedStateException(fault);
            }

            if (SharedRecords.DecodeVitals(view, reply.Parts) is { } snapshot)
            {
                return snapshot;
            }

            _views.Remove(pool);
        }

        throw new SharedStateException("the slots keep changing");
    }

    /// <summary>Makes <paramref name="pool"/> known to the store before a request has to wait for it.</summary>
    public async ValueTask PrepareAsync(Pool pool) => await ViewAsync(pool);

    /// <summary>True for the first instance that asks in <paramref name="span"/>, and for everyone while Redis does not answer.</summary>
    public async ValueTask<bool> TakeProbeTurnAsync(Pool pool, TimeSpan span)
    {
        RedisKey key = $"{_prefix}{{{pool.Name}}}:probe:{DigestOf(pool):0}";
        var reply = await _link.EvaluateAsync(StateScripts.Turn, [key], [Math.Max(1, (long)span.TotalMilliseconds)]);
        return reply.Fault is not null || (int)reply.Result! == 1;
    }

    public async ValueTask DisposeAsync() => await _renewal.DisposeAsync();

    private static double ReadDouble(byte[] told, int at) => BinaryPrimitives.ReadDoubleLittleEndian(told.AsSpan(at));

    private long NextLeaseId() => Interlocked.Increment(ref _lastLeaseId);

    private double Clock() => _clock?.Invoke() ?? -1;

    private void See(string pool, double version) => VersionSeen?.Invoke(pool, (long)version);

    /// <summary>Clients choose model names, so that one is not remembered beyond reason.</summary>
    private static string Shortened(string? model) => model is { Length: <= LongestModel } ? model : "";

    private async ValueTask<Lease?> AcquireUnseenAsync(AcquireRequest request)
    {
        await ViewAsync(request.Pool);
        return await AcquireAsync(request, CancellationToken.None);
    }

    private ValueTask<SharedView> ViewAsync(Pool pool)
    {
        if (_views.TryGetValue(pool, out var view))
        {
            return new(view);
        }

        lock (_lock)
        {
            if (_enrolling is not { } running || running.Pool != pool || running.View.IsCompleted)
            {
                _enrolling = running = (pool, EnrollAsync(pool));
            }

            return new(running.View);
        }
    }

    private async Task<SharedView> EnrollAsync(Pool pool)
    {
        try
        {
            return await AskForSlotsAsync(pool);
        }
        catch (Exception exception) when (exception is not SharedStateException)
        {
            throw new SharedStateException(exception.GetType().Name);
        }
    }

    private async Task<SharedView> AskForSlotsAsync(Pool pool)
    {
        var values = new RedisValue[1 + pool.Backends.Length];
        values[0] = SharedView.Pack(Clock(), _chance.NextBits() % LeaseIds, pool.Options.SlowStart.TotalMilliseconds, DigestOf(pool), LeaseMs);
        for (var index = 0; index < pool.Backends.Length; index++)
        {
            values[index + 1] = pool.Backends[index].Name.ToLowerInvariant();
        }

        var reply = await _link.EvaluateAsync(StateScripts.Enroll, KeysOf(pool.Name).All, values);
        if (reply.Fault is { } fault)
        {
            throw new SharedStateException(fault);
        }

        var parts = reply.Parts;
        byte[] head = (byte[])parts[0]!, slotBytes = (byte[])parts[1]!;
        if (BinaryPrimitives.ReadUInt16LittleEndian(head) != 1)
        {
            throw new SharedStateException("more backends than the store has room for");
        }

        var slots = new int[pool.Backends.Length];
        for (var index = 0; index < slots.Length; index++)
        {
            slots[index] = BinaryPrimitives.ReadUInt16LittleEndian(slotBytes.AsSpan(2 * index));
        }

        if (_newest is not { } newest || pool.Version >= newest.Version)
        {
            _newest = pool;
        }

        var view = new SharedView(pool, ReadDouble(head, 2), ReadDouble(head, 18), slots);
        _views.AddOrUpdate(pool, view);
        return view;
    }

    /// <summary>FNV-1a over names and weights, 52 bits: balances start over when it changes.</summary>
    private static double DigestOf(Pool pool)
    {
        var digest = 0xCBF29CE484222325;
        foreach (var letter in string.Join('\n', pool.Backends.Select(backend => $"{backend.Name.ToLowerInvariant()} {backend.Weight}")))
        {
            digest = (digest ^ letter) * 0x100000001B3;
        }

        return digest % LeaseIds;
    }

    private KeySet KeysOf(string pool) => _keys.GetOrAdd(pool, static (name, prefix) => new KeySet($"{prefix}{{{name}}}:"), _prefix);

    /// <summary>The keys of a pool; each script names as many of them as it needs.</summary>
    private sealed class KeySet(string prefix)
    {
        public RedisKey[] All { get; } = [.. new[] { "board", "cards", "leases", "notes", "totals", "names", "changes" }.Select(name => (RedisKey)(prefix + name))];

        public RedisKey[] Choice => field ??= All[..4];

        public RedisKey[] Settling => field ??= All[..5];

        public RedisKey[] Reading => field ??= All[..6];
    }
}
