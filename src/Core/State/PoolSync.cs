using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <summary>
/// The one place through which a pool is changed at run time: what is changed at one instance is in force at all. They learn of it by
/// a message, or, should that be lost, by the version in the next reply of the shared store.
/// </summary>
/// <remarks>
/// Without Redis, or while it does not answer, a change is in force here alone and is put to the others when Redis serves; where two
/// instances changed the pool apart, the newer version wins, and of two with one version the document that is the greater, byte by byte.
/// Changes begun before the ledger's were known are joined with those. A store that lost its version is given it again by whoever holds it.
/// </remarks>
internal sealed partial class PoolSync : BackgroundService
{
    /// <summary>How long a change may be unknown here when its message is lost and nothing is asked of the store.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly PoolSource _pools;
    private readonly RedisState? _shared;
    private readonly TimeProvider _time;
    private readonly ILogger<PoolSync> _log;
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly SemaphoreSlim _news = new(0, 1);

    /// <summary>What there was before is known, so that a first change stands for all there is.</summary>
    private bool _isRooted;

    /// <param name="pools">Where changes are put in force.</param>
    /// <param name="time">Paces looking for changes.</param>
    /// <param name="log">Told of every change.</param>
    /// <param name="shared">What the instances share; null for one alone.</param>
    public PoolSync(PoolSource pools, TimeProvider time, ILogger<PoolSync> log, RedisState? shared = null)
    {
        (_pools, _shared, _time, _log) = (pools, shared, time, log);
        shared?.ListenToEdits(pools.Current.Name, _ => Wake());
        if (shared is not null)
        {
            shared.VersionSeen += (_, version) =>
            {
                if (version != _pools.Edits.Version)
                {
                    Wake();
                }
            };
        }
    }

    /// <summary>
    /// Puts a change on the disk before it is acknowledged; true when it is there. Null where nothing but the settlement keeps changes.
    /// </summary>
    public Func<PoolEdits, CancellationToken, Task<bool>>? Keep { get; set; }

    /// <summary>Changes the pool here and everywhere; <paramref name="change"/> may be called again when another instance was faster.</summary>
    /// <param name="change">The changed edits, or null to leave everything as it is.</param>
    /// <param name="cancellationToken">Ends the wait for a change that is being made.</param>
    public async Task<ChangeResult> ChangeAsync(Func<PoolEdits, PoolEdits?> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var isShared = await PutInForceAsync(change);
            return new(isShared, Keep is { } keep && await keep(_pools.Edits, cancellationToken), _pools.Edits.Version);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>
    /// Takes what the ledger holds into account, once what is in force in the store is known here: the newer of both, or both joined.
    /// </summary>
    /// <returns>What is in force then.</returns>
    public async Task<PoolEdits> RootAsync(PoolEdits kept, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var mine = _pools.Edits;
            Apply(kept.Version > 0 && kept.Version == mine.Version && kept.ToJson() != mine.ToJson()
                ? mine with { Version = mine.Version + 1 }
                : PoolEdits.Join(kept, mine).Rooted());
            _isRooted |= kept.Version > 0 || _shared is null;
        }
        finally
        {
            _changing.Release();
        }

        if (_shared is not null)
        {
            await MeetAsync(cancellationToken);
        }

        return _pools.Edits;
    }

    /// <summary>As <see cref="MeetAsync"/>; nothing for an instance alone.</summary>
    public Task MeetSharedAsync(CancellationToken cancellationToken) => _shared is null ? Task.CompletedTask : MeetAsync(cancellationToken);

    /// <summary>Adopts a newer version from the store, or gives it ours where it has an older one or none. Null when that is settled, else why not.</summary>
    internal async Task<string?> MeetAsync(CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            await LevelAsync(await _shared!.DefineAsync(_pools.Current.Name, 0, null));
            return null;
        }
        catch (SharedStateException exception)
        {
            return exception.Message;
        }
        catch (System.Text.Json.JsonException exception)
        {
            LogUnreadable(exception);
            return exception.Message;
        }
        finally
        {
            _changing.Release();
        }
    }

    public override void Dispose()
    {
        _changing.Dispose();
        _news.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var news = Task.CompletedTask;
        while (_shared is not null && !stoppingToken.IsCancellationRequested)
        {
            news = news.IsCompleted ? _news.WaitAsync(stoppingToken) : news;
            await MeetAsync(stoppingToken);
            await Task.WhenAny(news, Task.Delay(Period, _time, stoppingToken));
        }
    }

    /// <summary>True when the other instances know, or there are none; false when it is in force here alone for now.</summary>
    private async Task<bool> PutInForceAsync(Func<PoolEdits, PoolEdits?> change)
    {
        while (true)
        {
            var known = _pools.Edits;
            if (change(known) is not { } changed)
            {
                return _shared is null || known.Version == 0 || await IsEverywhereAsync(known);
            }

            var wanted = changed with
            {
                // By the clock, so that what a process that is no more had put on the way is older than what is changed after it.
                Version = Math.Max(known.Version + 1, _time.GetUtcNow().ToUnixTimeMilliseconds()),
                Origin = known.Version == 0 && !_isRooted ? NewOrigin() : known.Origin,
                Joined = known.Joined,
            };
            if (_shared is null)
            {
                Apply(wanted);
                return true;
            }

            try
            {
                var inForce = await _shared.DefineAsync(_pools.Current.Name, known.Version, wanted);
                if (inForce.Version == wanted.Version && inForce.ToJson() == wanted.ToJson())
                {
                    Apply(inForce);
                    return true;
                }

                await LevelAsync(inForce);
            }
            catch (SharedStateException)
            {
                Apply(wanted);
                return false;
            }
        }
    }

    /// <summary>Whether the store has <paramref name="known"/>, which nothing is to be changed of.</summary>
    private async Task<bool> IsEverywhereAsync(PoolEdits known)
    {
        try
        {
            return (await _shared!.DefineAsync(_pools.Current.Name, 0, null)).Version >= known.Version;
        }
        catch (Exception exception) when (exception is SharedStateException or System.Text.Json.JsonException)
        {
            return false;
        }
    }

    /// <summary>Brings the store and this instance to the same edits, given what the store has.</summary>
    private async Task LevelAsync(PoolEdits inForce)
    {
        var mine = _pools.Edits;
        if (inForce.Version == mine.Version && inForce.ToJson() != mine.ToJson())
        {
            LogApart(mine.Version, PoolEdits.IsAhead(inForce, mine) ? "elsewhere" : "here");
        }

        var wanted = PoolEdits.Join(mine, inForce);
        if (PoolEdits.IsAhead(wanted, inForce))
        {
            // Should it meet a greater one that was written meanwhile, whoever wrote that finds out by the message and writes it again.
            wanted = await _shared!.DefineAsync(_pools.Current.Name, inForce.Version, wanted);
        }

        Apply(wanted);
    }

    /// <summary>Any number but 0 that no other instance has, small enough for every reader of JSON.</summary>
    private static long NewOrigin() => BitConverter.ToInt64(Guid.NewGuid().ToByteArray()) >>> 12 | 1;

    private void Apply(PoolEdits edits)
    {
        if (PoolEdits.IsAhead(edits, _pools.Edits))
        {
            var pool = _pools.Edit(edits);
            LogApplied(edits.Version, pool.Backends.Length, pool.Strategy.Name);
        }
    }

    private void Wake()
    {
        try
        {
            if (_news.CurrentCount == 0)
            {
                _news.Release();
            }
        }
        catch (Exception exception) when (exception is SemaphoreFullException or ObjectDisposedException)
        {
            // Someone was faster, or the program ends.
        }
    }
}
