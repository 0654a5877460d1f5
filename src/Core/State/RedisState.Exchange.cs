using System.Buffers.Binary;
using Roadbalancer.Backends;
using Roadbalancer.Strategies;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <content>Choices and outcomes, as many in a call as have gathered.</content>
internal sealed partial class RedisState
{
    /// <summary>Backends looked at in one call at most: the server does nothing else meanwhile.</summary>
    private const int MostLookedAt = 4_096;

    /// <summary>Bytes of a request in ARGV[2] of <c>acquire</c>, of what it tells of itself, and of each request.</summary>
    private const int RequestRow = 40, AnswerHead = 18, AnswerRow = 14;

    private static int MostUrgentOf(Pool pool) => Math.Clamp(MostLookedAt / Math.Max(1, pool.Backends.Length), 8, Gathering.MostAtOnce);

    private ValueTask<SharedStateException?> CarryAsync(List<Errand> errands)
    {
        var (asking, ended) = (new List<LeaseErrand>(errands.Count), new List<OutcomeErrand>());
        foreach (var errand in errands)
        {
            if (errand is LeaseErrand lease)
            {
                asking.Add(lease);
            }
            else
            {
                ended.Add((OutcomeErrand)errand);
            }
        }

        return ExchangeAsync(errands[0].Pool, asking, ended);
    }

    private void GiveUp(Errand errand)
    {
        if (errand is OutcomeErrand settlement)
        {
            Keep(settlement);
        }
    }

    /// <summary>As <see cref="TryExchangeAsync"/>. Whatever goes wrong is its fault: nobody may wait for ever, and no place may be kept that nobody has.</summary>
    private async ValueTask<SharedStateException?> ExchangeAsync(Pool pool, List<LeaseErrand> asking, List<OutcomeErrand> ended)
    {
        try
        {
            return await TryExchangeAsync(pool, asking, ended) is { } fault ? new SharedStateException(fault) : null;
        }
        catch (SharedStateException exception)
        {
            return exception;
        }
        catch (Exception exception)
        {
            foreach (var errand in asking)
            {
                _held.TryRemove(errand.Id, out _);
                Doubt(pool.Name, errand.Id);
            }

            return new SharedStateException(exception.GetType().Name);
        }
    }

    /// <summary>Settles <paramref name="ended"/>, then chooses for <paramref name="asking"/>; null when it was answered, else why not.</summary>
    private async ValueTask<string?> TryExchangeAsync(Pool pool, List<LeaseErrand> asking, List<OutcomeErrand> ended)
    {
        for (var tries = 0; tries < MostTries; tries++)
        {
            var view = await ViewAsync(pool);
            var reply = await _link.EvaluateAsync(StateScripts.Acquire(pool.Strategy), KeysOf(pool.Name).Settling, Arguments(view, asking, ended));
            if (reply.Fault is not null)
            {
                asking.ForEach(errand => Doubt(pool.Name, errand.Id));
                return reply.Fault;
            }

            if (Read(view, reply.Bytes, asking, ended))
            {
                return null;
            }

            _views.Remove(pool);
        }

        return "the slots keep changing";
    }

    private RedisValue[] Arguments(SharedView view, List<LeaseErrand> asking, List<OutcomeErrand> ended)
    {
        var options = view.Pool.Options;
        var values = new List<RedisValue>(5 + (3 * ended.Count) + (view.Pool.Strategy is ConsistentHash ? asking.Count : 0))
        {
            SharedView.Pack(
                Clock(), view.Generation, LeaseMs, options.SlowStart.TotalMilliseconds, options.HealthCheckEnabled ? 1 : 0, view.Pool.Backends.Length,
                ended.Count, view.BoardSize),
        };
        var rows = new byte[RequestRow * asking.Count];
        values.Add(rows);
        values.Add(ended.Count == 0 ? RedisValue.EmptyString : view.Settings);
        foreach (var settlement in ended)
        {
            Pack(values, settlement.Lease, settlement.Outcome, view.Slots[settlement.Lease.Index], settlement.Birth != view.Birth ? 1 : 0, settlement.JitterRoll);
        }

        AddRequests(values, rows, view, asking);
        return [.. values];
    }

    /// <summary>The requests' rows and what they refer to. What a request has in common with the last is sent once: likes come in runs.</summary>
    private static void AddRequests(List<RedisValue> values, byte[] rows, SharedView view, List<LeaseErrand> asking)
    {
        var isRing = view.Pool.Strategy is ConsistentHash;
        var (lastBackends, backendsAt, lastModel, modelAt) = ((SharedView.Selection?)null, 0, "", 0);
        for (var i = 0; i < asking.Count; i++)
        {
            ref readonly var request = ref asking[i].Request;
            var backends = asking[i].BackendsIn(view);
            if (!ReferenceEquals(backends, lastBackends))
            {
                values.Add(backends.Packed);
                (lastBackends, backendsAt) = (backends, values.Count);
            }

            var model = Shortened(request.Model);
            if (model != lastModel)
            {
                values.Add(model);
                (lastModel, modelAt) = (model, values.Count);
            }

            if (isRing)
            {
                values.Add(view.RingOrder(backends, request.AffinityKey));
            }

            var row = rows.AsSpan(i * RequestRow, RequestRow);
            BinaryPrimitives.WriteDoubleLittleEndian(row, asking[i].Id);
            BinaryPrimitives.WriteDoubleLittleEndian(row[8..], request.Roll1);
            BinaryPrimitives.WriteDoubleLittleEndian(row[16..], request.Roll2);
            BinaryPrimitives.WriteDoubleLittleEndian(row[24..], request.SlowStartRoll);
            BinaryPrimitives.WriteUInt16LittleEndian(row[32..], (ushort)(request.Panic ? 1 : 0));
            BinaryPrimitives.WriteUInt16LittleEndian(row[34..], (ushort)backendsAt);
            BinaryPrimitives.WriteUInt16LittleEndian(row[36..], (ushort)modelAt);
            BinaryPrimitives.WriteUInt16LittleEndian(row[38..], (ushort)(isRing ? values.Count : 0));
        }
    }

    /// <summary>False when the slots were out of date and nothing was done.</summary>
    private bool Read(SharedView view, byte[] told, List<LeaseErrand> asking, List<OutcomeErrand> ended)
    {
        if (BinaryPrimitives.ReadUInt16LittleEndian(told) != 1)
        {
            See(view.Pool.Name, ReadDouble(told, 2));
            return false;
        }

        var birth = ReadDouble(told, 10);
        var answers = told.AsSpan(AnswerHead + (ended.Count * ReplyRow));
        foreach (var errand in asking)
        {
            if (BinaryPrimitives.ReadUInt16LittleEndian(answers) == 1)
            {
                var index = errand.BackendsIn(view).Indices[BinaryPrimitives.ReadUInt16LittleEndian(answers[2..])];
                var epoch = (long)BinaryPrimitives.ReadDoubleLittleEndian(answers[6..]);
                errand.Granted = new Lease(view.Pool, index, errand.Id, epoch, BinaryPrimitives.ReadUInt16LittleEndian(answers[4..]) == 1)
                {
                    Model = errand.Request.Model,
                    IsShared = true,
                };
                _held[errand.Id] = new Held(errand.Granted, birth);
            }

            answers = answers[AnswerRow..];
        }

        See(view.Pool.Name, ReadDouble(told, 2));
        for (var i = 0; i < ended.Count; i++)
        {
            Tell(ended[i].Lease, ended[i].Outcome, told.AsSpan(AnswerHead + (i * ReplyRow)));
        }

        return true;
    }
}
