using System.Buffers.Binary;
using System.Collections.Concurrent;
using Roadbalancer.Backends;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>One <see cref="Pool"/> as the scripts know it: the slot of each backend, and what does not change packed for sending.</summary>
internal sealed class SharedView
{
    /// <summary>Models for which the backends that serve them are remembered; clients name models as they like.</summary>
    private const int MostModels = 256;

    private readonly Pool _pool;
    private readonly ConcurrentDictionary<string, Selection> _byModel = new(StringComparer.Ordinal);
    private readonly int[] _byPriority;
    private readonly bool _allTakeAny;
    private readonly Selection _all;

    /// <param name="pool">Whose view it is.</param>
    /// <param name="generation">The store's number for this assignment of slots; another number means other slots.</param>
    /// <param name="birth">The store's number since it last began anew.</param>
    /// <param name="slots">By index in <paramref name="pool"/>.</param>
    public SharedView(Pool pool, double generation, double birth, int[] slots)
    {
        _pool = pool;
        Generation = generation;
        Birth = birth;
        Slots = slots;
        _byPriority = [.. Enumerable.Range(0, slots.Length).OrderBy(index => pool.Backends[index].Priority)];
        _allTakeAny = pool.Backends.All(Eligibility.TakesAny);
        _all = Select([.. _byPriority]);
        Settings = PackSettings(pool.Options);
        SlotBytes = PackWords(slots);
        BoardSize = Math.Max(4_096, 64 + (12 * (slots.DefaultIfEmpty(0).Max() + 8)));
    }

    public Pool Pool => _pool;

    public double Generation { get; }

    public double Birth { get; }

    /// <summary>By index in the pool.</summary>
    public int[] Slots { get; }

    /// <summary>How many bytes of the board a choice reads at first: all of a small one, of a large one head, loads and the first column.</summary>
    public int BoardSize { get; }

    /// <summary><see cref="Slots"/> for <c>renew</c>.</summary>
    public byte[] SlotBytes { get; }

    /// <summary>ARGV[2] of <c>release</c>.</summary>
    public byte[] Settings { get; }

    /// <summary>The backends that configuration and the request itself do not rule out.</summary>
    public Selection For(in AcquireRequest request)
    {
        if (!Eligibility.AsksForNothing(request))
        {
            return Left(request);
        }

        if (_allTakeAny)
        {
            return _all;
        }

        var model = request.Model ?? "";
        if (!_byModel.TryGetValue(model, out var selection))
        {
            selection = Left(request);
            if (_byModel.Count < MostModels)
            {
                _byModel.TryAdd(model, selection);
            }
        }

        return selection;
    }

    /// <summary>The positions in <paramref name="selection"/>, from 1, in the order in which a walk from <paramref name="key"/> meets them.</summary>
    public byte[] RingOrder(Selection selection, ulong key)
    {
        var ring = _pool.Ring;
        var positionOf = new int[_pool.Backends.Length];
        for (var position = 0; position < selection.Indices.Length; position++)
        {
            positionOf[selection.Indices[position]] = position + 1;
        }

        var order = new byte[2 * selection.Indices.Length];
        var count = 0;
        var start = ring.Start(key);
        for (var step = 0; step < ring.Points && 2 * count < order.Length; step++)
        {
            ref var position = ref positionOf[ring.OwnerAt(start + step)];
            if (position > 0)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(order.AsSpan(2 * count++), (ushort)position);
                position = 0;
            }
        }

        return count * 2 == order.Length ? order : order[..(2 * count)];
    }

    /// <summary>Doubles as the scripts unpack them.</summary>
    public static byte[] Pack(params ReadOnlySpan<double> numbers)
    {
        var bytes = new byte[8 * numbers.Length];
        for (var i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteDoubleLittleEndian(bytes.AsSpan(8 * i), numbers[i]);
        }

        return bytes;
    }

    private Selection Left(in AcquireRequest request)
    {
        var left = new List<int>(_byPriority.Length);
        foreach (var index in _byPriority)
        {
            if (Eligibility.Standing(request, index) == Obstacle.None)
            {
                left.Add(index);
            }
        }

        return left.Count == _byPriority.Length ? _all : Select([.. left]);
    }

    private static byte[] PackWords(ReadOnlySpan<int> numbers)
    {
        var bytes = new byte[2 * numbers.Length];
        for (var i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), (ushort)numbers[i]);
        }

        return bytes;
    }

    private static byte[] PackSettings(Options.BalancerOptions options) => Pack(
        options.FailureThreshold,
        options.FailureRatio,
        options.FailureRatioMinimum,
        Math.Floor(options.FailureWindow.TotalMilliseconds),
        options.Cooldown.TotalMilliseconds,
        options.CooldownMax.TotalMilliseconds,
        Math.Floor(options.QuotaPark.TotalMilliseconds),
        Math.Floor(options.ModelAbsentPark.TotalMilliseconds),
        options.HealthCheckEnabled ? 1 : 0,
        options.HealthCheckInterval.TotalMilliseconds,
        options.SlowStart.TotalMilliseconds);

    /// <summary>ARGV[2] of <c>acquire</c>: see there.</summary>
    private Selection Select(int[] indices)
    {
        var n = indices.Length;
        var ends = new List<int>();
        for (var position = 0; position < n; position++)
        {
            if (position + 1 == n || _pool.Backends[indices[position + 1]].Priority != _pool.Backends[indices[position]].Priority)
            {
                ends.Add(position + 1);
            }
        }

        var bytes = new byte[4 + (2 * ends.Count) + (16 * n) + 4];
        var to = bytes.AsSpan();
        Word(ref to, n);
        Word(ref to, ends.Count);
        foreach (var end in ends)
        {
            Word(ref to, end);
        }

        foreach (var index in indices)
        {
            Word(ref to, Slots[index]);
        }

        foreach (var index in indices)
        {
            Word(ref to, index);
        }

        foreach (var index in indices)
        {
            Long(ref to, _pool.Backends[index].Weight);
        }

        foreach (var index in indices)
        {
            Long(ref to, _pool.Backends[index].MaxConnections);
        }

        foreach (var index in indices)
        {
            Long(ref to, (uint)Math.Min(uint.MaxValue, _pool.Backends[index].Timeout.TotalMilliseconds));
        }

        var most = n == 0 ? 0 : _pool.Backends[indices[0]].MaxConnections;
        Long(ref to, Array.TrueForAll(indices, index => _pool.Backends[index].MaxConnections == most) ? most : 0);
        return new Selection(indices, bytes);
    }

    private static void Word(ref Span<byte> to, int number)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(to, (ushort)number);
        to = to[2..];
    }

    private static void Long(ref Span<byte> to, long number)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, (uint)number);
        to = to[4..];
    }

    /// <param name="Indices">Into the pool, by priority, then in its order.</param>
    /// <param name="Packed">The same for the script, with what does not change of each.</param>
    public sealed record Selection(int[] Indices, RedisValue Packed);
}
