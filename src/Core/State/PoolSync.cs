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
/// instances changed the pool apart, the newer version wins, and of two with one version the document that is the greater, byte by byte. A store that lost its version is given it again by whoever holds it.
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

    /// <summary>Changes the pool here and everywhere; <paramref name="change"/> may be called again when another instance was faster.</summary>
    /// <returns>True when the other instances know, or there are none; false when it is in force here alone for now.</returns>
    public async Task<bool> ChangeAsync(Func<PoolEdits, PoolEdits> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            while (true)
            {
                var known = _pools.Edits;
                var wanted = change(known) with { Version = known.Version + 1 };
                try
                {
                    var inForce = _shared is null ? wanted : await _shared.DefineAsync(_pools.Current.Name, known.Version, wanted);
                    if (inForce.Version == 0)
                    {
                        // The store lost its version: it takes ours.
                        inForce = await _shared!.DefineAsync(_pools.Current.Name, 0, wanted);
                    }

                    Apply(inForce);
                    if (inForce.Version == wanted.Version && inForce.ToJson() == wanted.ToJson())
                    {
                        return true;
                    }
                }
                catch (SharedStateException)
                {
                    Apply(wanted);
                    return false;
                }
            }
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Adopts a newer version from the store, or gives it ours where it has an older one or none. Null when that is settled, else why not.</summary>
    internal async Task<string?> MeetAsync(CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var inForce = await _shared!.DefineAsync(_pools.Current.Name, 0, null);
            var mine = _pools.Edits;
            if (inForce.Version == mine.Version && inForce.ToJson() != mine.ToJson())
            {
                LogApart(mine.Version, IsAhead(inForce, mine) ? "elsewhere" : "here");
            }

            if (IsAhead(mine, inForce))
            {
                // Should it meet a greater one that was written meanwhile, whoever wrote that finds out by the message and writes it again.
                inForce = await _shared.DefineAsync(_pools.Current.Name, inForce.Version, mine);
            }

            Apply(inForce);

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

    private void Apply(PoolEdits edits)
    {
        if (IsAhead(edits, _pools.Edits))
        {
            var pool = _pools.Edit(edits);
            LogApplied(edits.Version, pool.Backends.Length, pool.Strategy.Name);
        }
    }

    /// <summary>Every instance finds the same winner, whatever it learns of first.</summary>
    private static bool IsAhead(PoolEdits one, PoolEdits other) => one.Version != other.Version
        ? one.Version > other.Version
        : string.CompareOrdinal(one.ToJson(), other.ToJson()) > 0;

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
