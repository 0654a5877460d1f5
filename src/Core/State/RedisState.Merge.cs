using System.Buffers.Binary;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Stats;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>What an instance counted by itself. It may be sent again and again: the number sees to it that it counts once.</summary>
/// <param name="Pool">Whose backends.</param>
/// <param name="Number">Unique to the batch.</param>
/// <param name="Counted">By backend, what was counted since the store was last reached.</param>
/// <param name="NowMs">The clock that the times in <paramref name="Standing"/> are on.</param>
/// <param name="Standing">What is known of the backends by now.</param>
internal sealed record CountedAlone(Pool Pool, long Number, IReadOnlyDictionary<string, BackendTotals> Counted, long NowMs, PoolSnapshot Standing);

/// <content>Bringing in what was counted without the store.</content>
internal sealed partial class RedisState
{
    /// <summary>Adds <paramref name="alone"/> to the store; null when that is answered, else why not.</summary>
    public async ValueTask<string?> MergeAsync(CountedAlone alone)
    {
        try
        {
            for (var tries = 0; tries < MostTries; tries++)
            {
                var view = await ViewAsync(alone.Pool);
                var values = new List<RedisValue> { SharedView.Pack(Clock(), view.Generation, LeaseMs, alone.Number) };
                for (var index = 0; index < alone.Pool.Backends.Length; index++)
                {
                    var name = alone.Pool.Backends[index].Name;
                    values.Add(PackCounted(view.Slots[index], alone.NowMs, alone.Standing.For(name, index).Vitals, alone.Counted.GetValueOrDefault(name)));
                }

                var reply = await _link.EvaluateAsync(StateScripts.Merge, KeysOf(alone.Pool.Name).Settling, [.. values]);
                if (reply.Fault is not null)
                {
                    return reply.Fault;
                }

                if (BinaryPrimitives.ReadUInt16LittleEndian(reply.Bytes) == 1)
                {
                    return null;
                }

                _views.Remove(alone.Pool);
            }
        }
        catch (SharedStateException exception)
        {
            return exception.Message;
        }

        return "the slots keep changing";
    }

    private static byte[] PackCounted(int slot, long nowMs, Vitals vitals, BackendTotals? totals)
    {
        var numbers = new List<double>
        {
            slot,
            vitals.Circuit == CircuitState.Closed ? 0 : Math.Max(0, vitals.OpenUntilMs - nowMs),
            vitals.CooldownMs,
            Math.Max(0, vitals.ParkedUntilMs - nowMs),
        };
        if (totals is not null)
        {
            for (var kind = 0; kind < totals.ByKind.Length; kind++)
            {
                Add(kind, totals.ByKind[kind]);
            }

            Add(32, totals.InputTokens);
            Add(33, totals.OutputTokens);
            Add(34, totals.Duration.SumMicroseconds);
            Add(35, totals.FirstToken.SumMicroseconds);
            AddBuckets(40, totals.Duration);
            AddBuckets(40 + Histogram.Buckets, totals.FirstToken);
        }

        return SharedView.Pack(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(numbers));

        void Add(int field, long amount)
        {
            if (amount != 0)
            {
                numbers.Add(field);
                numbers.Add(amount);
            }
        }

        void AddBuckets(int first, Histogram histogram)
        {
            for (var bucket = 0; bucket < Histogram.Buckets; bucket++)
            {
                Add(first + bucket, histogram.Counts[bucket]);
            }
        }
    }
}
