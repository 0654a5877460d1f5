using System.Buffers.Binary;
using System.Collections.Concurrent;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <content>Outcomes on their way to the store. Those that end while a call is under way go out together with the next.</content>
internal sealed partial class RedisState
{
    /// <summary>How many outcomes one call settles: the server does nothing else meanwhile.</summary>
    private const int SettledAtOnce = 128;

    /// <summary>What a release tells of itself before its outcomes, and of each outcome.</summary>
    private const int ReplyHead = 10, ReplyRow = 24;

    private readonly ConcurrentQueue<Settlement> _outgoing = new();
    private int _sending;

    /// <param name="Birth">The store's number when the lease was taken: in a store that began anew since, there is no lease to give back.</param>
    private sealed record Settlement(Lease Lease, AttemptOutcome Outcome, double Birth, double JitterRoll)
    {
        /// <summary>Null when it was answered, else why not.</summary>
        public TaskCompletionSource<string?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Sends an outcome; one that is not answered is kept for <see cref="CatchUpAsync"/>.</summary>
    public async ValueTask SettleAsync(Lease lease, AttemptOutcome outcome)
    {
        _held.TryRemove(lease.Id, out var held);
        var settlement = new Settlement(lease, outcome, held.Birth, _chance.NextDouble());
        _outgoing.Enqueue(settlement);
        if (Interlocked.CompareExchange(ref _sending, 1, 0) == 0)
        {
            await SendOutgoingAsync();
        }

        if (await settlement.Answer.Task is { } fault)
        {
            Keep(settlement);
            throw new SharedStateException(fault);
        }
    }

    /// <summary>Reports what an instance decided by itself and returns what is known of the backends then; a fault when it was not answered.</summary>
    public async ValueTask<(PoolSnapshot? Vitals, string? Fault)> ReportAsync(Pool pool, LoadReport report)
    {
        try
        {
            for (var tries = 0; tries < MostTries; tries++)
            {
                var view = await ViewAsync(pool);
                var values = await ValuesAsync(view, report);
                var reply = await _link.EvaluateAsync(StateScripts.Release, KeysOf(pool.Name).Settling, values);
                if (reply.Fault is not null)
                {
                    return (null, reply.Fault);
                }

                if (Read(pool.Name, reply) is { } told && SharedRecords.DecodeVitals(view, reply.Parts.AsSpan(1)) is { } vitals)
                {
                    for (var i = 0; i < report.Events.Count; i++)
                    {
                        Tell(report.Events[i].Lease, report.Events[i].Outcome, told.AsSpan(ReplyHead + (i * ReplyRow)));
                    }

                    return (vitals, null);
                }

                _views.Clear();
            }
        }
        catch (SharedStateException exception)
        {
            return (null, exception.Message);
        }

        return (null, "the slots keep changing");
    }

    private async Task SendOutgoingAsync()
    {
        do
        {
            while (TakeAlike(_outgoing) is { Count: > 0 } alike)
            {
                var fault = await SendAsync(alike);
                alike.ForEach(settlement => settlement.Answer.SetResult(fault));
                while (fault is not null && _outgoing.TryDequeue(out var next))
                {
                    next.Answer.SetResult(fault);
                }
            }

            Volatile.Write(ref _sending, 0);
        }
        while (!_outgoing.IsEmpty && Interlocked.CompareExchange(ref _sending, 1, 0) == 0);
    }

    /// <summary>The first few that are of one pool.</summary>
    private static List<Settlement> TakeAlike(ConcurrentQueue<Settlement> queue)
    {
        var alike = new List<Settlement>();
        while (alike.Count < SettledAtOnce && queue.TryPeek(out var next) && (alike.Count == 0 || alike[0].Lease.Pool == next.Lease.Pool)
            && queue.TryDequeue(out next))
        {
            alike.Add(next);
        }

        return alike;
    }

    private async ValueTask<string?> SendAsync(List<Settlement> settlements)
    {
        var pool = settlements[0].Lease.Pool;
        for (var tries = 0; tries < MostTries; tries++)
        {
            SharedView view;
            try
            {
                view = await ViewAsync(pool);
            }
            catch (SharedStateException exception)
            {
                return exception.Message;
            }

            var values = new RedisValue[3 + (3 * settlements.Count)];
            (values[0], values[1], values[2]) = (SharedView.Pack(Clock(), view.Generation, LeaseMs, 0, 0, 0), view.Settings, "");
            for (var i = 0; i < settlements.Count; i++)
            {
                var settlement = settlements[i];
                Pack(values.AsSpan(3 + (3 * i)), settlement.Lease, settlement.Outcome, view.Slots[settlement.Lease.Index], settlement.Birth != view.Birth ? 1 : 0, settlement.JitterRoll);
            }

            var reply = await _link.EvaluateAsync(StateScripts.Release, KeysOf(pool.Name).Settling, values);
            if (reply.Fault is not null)
            {
                return reply.Fault;
            }

            if (Read(pool.Name, reply) is { } told)
            {
                for (var i = 0; i < settlements.Count; i++)
                {
                    Tell(settlements[i].Lease, settlements[i].Outcome, told.AsSpan(ReplyHead + (i * ReplyRow)));
                }

                return null;
            }

            _views.Remove(pool);
        }

        return "the slots keep changing";
    }

    /// <summary>What a release told; null when its slots were out of date and nothing was done.</summary>
    private byte[]? Read(string pool, in Redis.RedisReply reply)
    {
        var told = (byte[])reply.Parts[0]!;
        See(pool, ReadDouble(told, 2));
        return BinaryPrimitives.ReadUInt16LittleEndian(told) == 1 ? told : null;
    }

    private async ValueTask<RedisValue[]> ValuesAsync(SharedView view, LoadReport report)
    {
        var values = new RedisValue[3 + (3 * report.Events.Count)];
        values[0] = SharedView.Pack(Clock(), view.Generation, LeaseMs, report.Holder, report.Number, 1);
        values[1] = view.Settings;
        var loads = new List<byte>(6 * report.InFlight.Count);
        foreach (var (place, count) in report.InFlight)
        {
            var slots = place.Pool == view.Pool ? view : await ViewAsync(place.Pool);
            var bytes = new byte[6];
            BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)slots.Slots[place.Index]);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(2), (uint)count);
            loads.AddRange(bytes);
        }

        values[2] = loads.ToArray();
        for (var i = 0; i < report.Events.Count; i++)
        {
            var settled = report.Events[i];
            var slots = settled.Lease.Pool == view.Pool ? view : await ViewAsync(settled.Lease.Pool);
            Pack(values.AsSpan(3 + (3 * i)), settled.Lease, settled.Outcome, slots.Slots[settled.Lease.Index], leaseless: 2, settled.JitterRoll);
        }

        return values;
    }

    /// <summary>An outcome as ARGV of <c>release</c>; without one, the beginning of a trial.</summary>
    private static void Pack(Span<RedisValue> values, Lease lease, in AttemptOutcome? ended, int slot, double leaseless, double jitterRoll)
    {
        var outcome = ended ?? new AttemptOutcome(default) { DurationMs = Math.Floor(lease.Backend.Timeout.TotalMilliseconds) };
        var blame = OutcomeTable.For(outcome.Kind).Blame;
        var firstMs = outcome.FirstTokenMs ?? -1;
        var words = blame is Blame.None or Blame.Praise ? "" : Words(outcome);
        values[0] = Shortened(lease.Model);
        values[1] = words.Length > LongestError ? words[..LongestError] : words;
        values[2] = SharedView.Pack(
            lease.Id, slot, lease.Epoch, lease.IsTrial ? 1 : 0, leaseless,
            ended is null ? -1 : (int)outcome.Kind, (int)blame, outcome.Kind == OutcomeKind.Overloaded ? 1 : 0, outcome.DurationMs, firstMs,
            outcome.RetryAfter is { } after ? Math.Max(0, Math.Floor(after.TotalMilliseconds)) : -1, jitterRoll,
            outcome.InputTokens ?? 0, outcome.OutputTokens ?? 0,
            outcome.Kind == OutcomeKind.Succeeded ? Histogram.BucketOf(outcome.DurationMs) : -1, Math.Floor(Math.Max(0, outcome.DurationMs) * 1000),
            firstMs >= 0 ? Histogram.BucketOf(firstMs) : -1, Math.Floor(Math.Max(0, firstMs) * 1000));
    }

    private static string Words(in AttemptOutcome outcome) => outcome.Detail is { } detail ? $"{outcome.Kind}: {detail}" : outcome.Kind.ToString();

    private void Tell(Lease lease, in AttemptOutcome? ended, ReadOnlySpan<byte> told)
    {
        var kinds = (Transitions)(int)BinaryPrimitives.ReadDoubleLittleEndian(told);
        if (kinds != Transitions.None && ended is { } outcome)
        {
            Changed?.Invoke(new StateChange(
                lease.Pool.Name, lease.Backend.Name, kinds, Words(outcome), kinds.HasFlag(Transitions.ModelAbsent) ? lease.Model : null,
                TimeSpan.FromMilliseconds(BinaryPrimitives.ReadDoubleLittleEndian(told[8..])), TimeSpan.FromMilliseconds(BinaryPrimitives.ReadDoubleLittleEndian(told[16..]))));
        }
    }
}
