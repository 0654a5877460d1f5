using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <content>Leases while they last, and what Redis has not answered yet.</content>
internal sealed partial class RedisState
{
    /// <summary>How long a lease outlives its instance. Another finds it expired at its next call or renewal: within 30 s the counts are right.</summary>
    private const double LeaseMs = 25_000;

    /// <summary>How many leases one call renews: the server does nothing else meanwhile.</summary>
    private const int RenewedAtOnce = 200;

    /// <summary>Outcomes that are kept for a Redis that does not answer; beyond it the oldest are lost.</summary>
    private const int MostUnsettled = 100_000;

    private static readonly TimeSpan RenewalPeriod = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<long, Held> _held = new();
    private readonly ConcurrentQueue<OutcomeErrand> _unsettled = new();
    private readonly ConcurrentQueue<(string Pool, long Id)> _doubtful = new();
    private readonly SemaphoreSlim _catchingUp = new(1, 1);

    private readonly record struct Held(Lease Lease, double Birth);

    /// <summary>Leases taken from the store and not yet given back, for whoever has to go on without it.</summary>
    public IEnumerable<Lease> HeldLeases => _held.Values.Select(held => held.Lease);

    /// <summary>True while something was sent or is to be sent that was not answered.</summary>
    public bool IsBehind => !_unsettled.IsEmpty || !_doubtful.IsEmpty;

    /// <summary>Outcomes that wait for Redis.</summary>
    public int Unsettled => _unsettled.Count;

    /// <summary>Keeps an outcome for when Redis answers again.</summary>
    /// <param name="lease">Given back elsewhere in the meantime.</param>
    /// <param name="outcome">How it ended.</param>
    public void SettleLater(Lease lease, AttemptOutcome outcome)
    {
        if (!lease.IsProbe)
        {
            _held.TryRemove(lease.Id, out var held);
            Keep(new OutcomeErrand(lease, outcome, held.Birth, _chance.NextDouble()));
        }
    }

    /// <summary>A number for a lease that was not taken from the store but is to be given back to it.</summary>
    public long ReserveLeaseId() => NextLeaseId();

    /// <summary>Takes a place for a lease that was granted without the store: from now on it is held and given back like any other.</summary>
    public void Adopt(Lease lease) => _held[lease.Id] = new Held(lease, 0);

    /// <summary>
    /// Renews every lease held, takes back those that may have been taken, and sends the outcomes that were not answered. Null when all
    /// of it was answered, else why not; then the rest waits for the next time.
    /// </summary>
    public async ValueTask<string?> CatchUpAsync(Pool pool)
    {
        await _catchingUp.WaitAsync();
        try
        {
            return await CancelDoubtfulAsync() ?? await RenewAsync(pool) ?? await SendUnsettledAsync();
        }
        catch (SharedStateException exception)
        {
            return exception.Message;
        }
        finally
        {
            _catchingUp.Release();
        }
    }

    private void Doubt(string pool, long id) => _doubtful.Enqueue((pool, id));

    private void Keep(OutcomeErrand errand)
    {
        // A probe says what was true then; the next one says what is.
        if (errand.Lease.IsProbe)
        {
            return;
        }

        _unsettled.Enqueue(errand);
        while (_unsettled.Count > MostUnsettled)
        {
            _unsettled.TryDequeue(out _);
        }
    }

    private async Task RenewQuietlyAsync()
    {
        if (_newest is { } pool && _link.IsConnected && _catchingUp.CurrentCount > 0)
        {
            // What fails here is tried again next time; who needs to know is told by the next request's own call.
            await CatchUpAsync(pool);
        }
    }

    private async ValueTask<string?> CancelDoubtfulAsync()
    {
        // Where a lease was taken is not known: each is looked for at every backend.
        var most = Math.Clamp(MostLookedAt / Math.Max(1, _newest?.Backends.Length ?? 0), 1, RenewedAtOnce);
        while (_doubtful.TryPeek(out var first))
        {
            var ids = _doubtful.Where(doubt => doubt.Pool == first.Pool).Take(most).ToList();
            RedisValue[] values = [SharedView.Pack(Clock()), .. ids.Select(doubt => (RedisValue)doubt.Id.ToString(CultureInfo.InvariantCulture))];
            if ((await _link.EvaluateAsync(StateScripts.Cancel, KeysOf(first.Pool).Choice, values)).Fault is { } fault)
            {
                return fault;
            }

            for (var done = 0; done < ids.Count && _doubtful.TryPeek(out var next) && next.Pool == first.Pool; done++)
            {
                _doubtful.TryDequeue(out _);
            }
        }

        return null;
    }

    private async ValueTask<string?> SendUnsettledAsync()
    {
        while (_unsettled.TryPeek(out var first))
        {
            var alike = new List<OutcomeErrand>();
            while (alike.Count < Gathering.MostAtOnce && _unsettled.TryPeek(out var next) && next.Pool == first.Pool && _unsettled.TryDequeue(out next))
            {
                alike.Add(next);
            }

            if (await ExchangeAsync(first.Pool, [], alike) is { } fault)
            {
                alike.ForEach(_unsettled.Enqueue);
                return fault.Message;
            }
        }

        return null;
    }

    /// <summary>In one call for as many leases as are affordable at a time. With none it still expires those of others and keeps the keys.</summary>
    private async ValueTask<string?> RenewAsync(Pool pool)
    {
        var held = _held.Values.ToList();
        var gone = new List<Held>();
        for (var start = 0; start == 0 || start < held.Count; start += RenewedAtOnce)
        {
            if (await RenewAsync(pool, held.Skip(start).Take(RenewedAtOnce).ToList(), again: false, gone) is { } fault)
            {
                return fault;
            }
        }

        // A store that began anew, or an instance that stood still for too long: those still held are taken again.
        var again = gone.Where(lease => _held.ContainsKey(lease.Lease.Id)).ToList();
        for (var start = 0; start < again.Count; start += RenewedAtOnce)
        {
            if (await RenewAsync(pool, again.Skip(start).Take(RenewedAtOnce).ToList(), again: true, []) is { } fault)
            {
                return fault;
            }
        }

        return null;
    }

    private async ValueTask<string?> RenewAsync(Pool pool, List<Held> leases, bool again, List<Held> gone)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            var view = await ViewAsync(pool);
            var values = new RedisValue[2 + leases.Count];
            values[0] = SharedView.Pack(Clock(), LeaseMs, view.Generation, again ? 1 : 0);
            values[1] = view.SlotBytes;
            for (var i = 0; i < leases.Count; i++)
            {
                var lease = leases[i].Lease;
                var slots = lease.Pool == pool ? view : await ViewAsync(lease.Pool);
                values[i + 2] = string.Create(CultureInfo.InvariantCulture, $"{slots.Slots[lease.Index]}:{lease.Id}");
            }

            var reply = await _link.EvaluateAsync(StateScripts.Renew, KeysOf(pool.Name).All, values);
            if (reply.Fault is not null)
            {
                return reply.Fault;
            }

            var told = reply.Bytes;
            if (BinaryPrimitives.ReadUInt16LittleEndian(told) != 1)
            {
                _views.Clear();
                continue;
            }

            See(pool.Name, ReadDouble(told, 2));
            for (var i = 0; i < leases.Count; i++)
            {
                if (told[10 + i] == 0)
                {
                    gone.Add(leases[i]);
                }
                else if (again)
                {
                    _held.TryUpdate(leases[i].Lease.Id, leases[i] with { Birth = view.Birth }, leases[i]);
                }
            }

            return null;
        }

        return "the slots keep changing";
    }
}
