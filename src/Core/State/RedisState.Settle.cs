using System.Buffers.Binary;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <content>Outcomes: of requests one by one, of an instance that decides by itself in a report.</content>
internal sealed partial class RedisState
{
    /// <summary>What a release tells of itself before its outcomes, and of each outcome.</summary>
    private const int ReplyHead = 10, ReplyRow = 24;

    /// <summary>Sends an outcome; one that is not answered is kept for <see cref="CatchUpAsync"/>.</summary>
    public ValueTask SettleAsync(Lease lease, AttemptOutcome outcome)
    {
        _held.TryRemove(lease.Id, out var held);
        var errand = new OutcomeErrand(lease, outcome, held.Birth, _chance.NextDouble());
        _gathering.Add(errand);
        return errand.Answer;
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

    /// <summary>What a release told; null when its slots were out of date and nothing was done.</summary>
    private byte[]? Read(string pool, in Redis.RedisReply reply)
    {
        var told = (byte[])reply.Parts[0]!;
        See(pool, ReadDouble(told, 2));
        return BinaryPrimitives.ReadUInt16LittleEndian(told) == 1 ? told : null;
    }

    private async ValueTask<RedisValue[]> ValuesAsync(SharedView view, LoadReport report)
    {
        var values = new List<RedisValue>(3 + (3 * report.Events.Count)) { SharedView.Pack(Clock(), view.Generation, LeaseMs, report.Holder, report.Number, 1), view.Settings };
        var loads = new List<byte>(6 * report.InFlight.Count);
        foreach (var (place, count) in report.InFlight)
        {
            var slots = place.Pool == view.Pool ? view : await ViewAsync(place.Pool);
            var bytes = new byte[6];
            BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)slots.Slots[place.Index]);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(2), (uint)count);
            loads.AddRange(bytes);
        }

        values.Add(loads.ToArray());
        foreach (var settled in report.Events)
        {
            var slots = settled.Lease.Pool == view.Pool ? view : await ViewAsync(settled.Lease.Pool);
            Pack(values, settled.Lease, settled.Outcome, slots.Slots[settled.Lease.Index], leaseless: 2, settled.JitterRoll);
        }

        return [.. values];
    }

    /// <summary>An outcome as ARGV of <c>release</c>; without one, the beginning of a trial.</summary>
    private static void Pack(List<RedisValue> values, Lease lease, AttemptOutcome? ended, int slot, double leaseless, double jitterRoll)
    {
        var outcome = ended ?? new AttemptOutcome(default) { DurationMs = Math.Floor(lease.Backend.Timeout.TotalMilliseconds) };
        var blame = OutcomeTable.For(outcome.Kind).Blame;
        var firstMs = outcome.FirstTokenMs ?? -1;
        var words = blame is Blame.None or Blame.Praise ? "" : Words(outcome);
        values.Add(blame == Blame.ModelAbsent ? Shortened(lease.Model) : RedisValue.EmptyString);
        values.Add(words.Length > LongestError ? words[..LongestError] : words);
        values.Add(SharedView.Pack(
            lease.Id, slot, lease.Epoch, lease.IsTrial ? 1 : 0, leaseless,
            ended is null ? -1 : (int)outcome.Kind, (int)blame, outcome.Kind == OutcomeKind.Overloaded ? 1 : 0, outcome.DurationMs, firstMs,
            outcome.RetryAfter is { } after ? Math.Max(0, Math.Floor(after.TotalMilliseconds)) : -1, jitterRoll,
            outcome.InputTokens ?? 0, outcome.OutputTokens ?? 0,
            outcome.Kind == OutcomeKind.Succeeded ? Histogram.BucketOf(outcome.DurationMs) : -1, Math.Floor(Math.Max(0, outcome.DurationMs) * 1000),
            firstMs >= 0 ? Histogram.BucketOf(firstMs) : -1, Math.Floor(Math.Max(0, firstMs) * 1000)));
    }

    private static string Words(AttemptOutcome outcome) => outcome.Detail is { } detail ? $"{outcome.Kind}: {detail}" : outcome.Kind.ToString();

    private void Tell(Lease lease, AttemptOutcome? ended, ReadOnlySpan<byte> told)
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
