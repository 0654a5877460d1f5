using System.Buffers.Binary;
using System.Globalization;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Stats;
using StackExchange.Redis;

namespace Roadbalancer.State;

/// <summary>Reads what <c>Lua/read.lua</c> returns. The layout is told in <c>Lua/common.lua</c>.</summary>
internal static class SharedRecords
{
    private const int Header = 64;
    private const int Row = 112;
    private const int Stride = 1384;
    private const int BucketsAt = 320;

    /// <summary>Puts <paramref name="parts"/> together: the backends of <paramref name="order"/> as they come, then others that still have requests.</summary>
    public static PoolSnapshot Decode(string name, RedisResult[] parts, Pool? order)
    {
        var nowMs = (long)BinaryPrimitives.ReadDoubleLittleEndian((byte[])parts[0]!);
        byte[] board = (byte[])parts[1]!, cards = (byte[])parts[2]!, totals = (byte[])parts[5]!;
        var notes = Pairs(parts[4]);
        var slots = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, slot) in Pairs(parts[6]))
        {
            slots[key] = int.Parse(System.Text.Encoding.ASCII.GetString(slot), CultureInfo.InvariantCulture);
        }

        if (board.Length < Header)
        {
            return new PoolSnapshot(name, nowMs, []);
        }

        var capacity = (int)BinaryPrimitives.ReadDoubleLittleEndian(board.AsSpan(16));
        var backends = new List<BackendSnapshot>();
        foreach (var backend in order is null ? [] : order.Backends)
        {
            if (slots.Remove(backend.Name, out var slot) && Fits(slot))
            {
                backends.Add(Snapshot(backend.Name, slot));
            }
        }

        foreach (var (key, slot) in slots)
        {
            if (Fits(slot) && (order is null || InFlight(board, slot) > 0))
            {
                backends.Add(Snapshot(key, slot));
            }
        }

        return new PoolSnapshot(name, nowMs, [.. backends]) { Birth = (long)BinaryPrimitives.ReadDoubleLittleEndian(board) };

        bool Fits(int slot) => slot < capacity && cards.Length >= (slot + 1) * Row;

        BackendSnapshot Snapshot(string key, int slot) => new(
            key,
            VitalsOf(board, capacity, cards, slot, notes.GetValueOrDefault($"m{slot}")),
            TotalsOf(totals, slot, notes.GetValueOrDefault($"e{slot}")));
    }

    /// <summary>The backends of <paramref name="view"/> in its pool's order, without what was counted of them; null when its slots are out of date.</summary>
    public static PoolSnapshot? DecodeVitals(SharedView view, ReadOnlySpan<RedisResult> parts)
    {
        var nowMs = (long)BinaryPrimitives.ReadDoubleLittleEndian((byte[])parts[0]!);
        byte[] board = (byte[])parts[1]!, cards = (byte[])parts[2]!;
        if (board.Length < Header || BinaryPrimitives.ReadDoubleLittleEndian(board.AsSpan(8)) != view.Generation)
        {
            return null;
        }

        var absent = Pairs(parts[3]);
        var capacity = (int)BinaryPrimitives.ReadDoubleLittleEndian(board.AsSpan(16));
        var backends = new BackendSnapshot[view.Slots.Length];
        for (var index = 0; index < backends.Length; index++)
        {
            var slot = view.Slots[index];
            var models = absent.Count == 0 ? null : absent.GetValueOrDefault($"m{slot}");
            backends[index] = new BackendSnapshot(view.Pool.Backends[index].Name, VitalsOf(board, capacity, cards, slot, models));
        }

        return new PoolSnapshot(view.Pool.Name, nowMs, [.. backends]) { Birth = (long)view.Birth };
    }

    private static int InFlight(byte[] board, int slot) => (int)BinaryPrimitives.ReadUInt32LittleEndian(board.AsSpan(Header + (4 * slot)));

    private static Vitals VitalsOf(byte[] board, int capacity, byte[] cards, int slot, byte[]? absent)
    {
        var card = cards.AsSpan(slot * Row, Row);
        return new Vitals
        {
            InFlight = InFlight(board, slot),
            Balance = (long)Cell(board, capacity, 1, slot),
            Epoch = (long)Cell(board, capacity, 2, slot),
            FailureLoad = Cell(board, capacity, 3, slot),
            FailureLoadAtMs = (long)Cell(board, capacity, 4, slot),
            LatencyMs = Cell(board, capacity, 5, slot),
            LatencyAtMs = (long)Cell(board, capacity, 6, slot),
            Circuit = (CircuitState)Small(card, 0),
            Misconfigured = Small(card, 4) != 0,
            OpenUntilMs = Big(card, 8),
            TrialUntilMs = Big(card, 16),
            ParkedUntilMs = Big(card, 24),
            RecoveredAtMs = Big(card, 32),
            ConsecutiveFailures = Small(card, 48),
            ProbeFailures = Small(card, 52),
            CooldownMs = Big(card, 56),
            Trips = Big(card, 64),
            TrialLeaseId = Big(card, 72),
            WindowStartMs = Big(card, 80),
            WindowRequests = Small(card, 88),
            WindowFailures = Small(card, 92),
            PreviousWindowRequests = Small(card, 96),
            PreviousWindowFailures = Small(card, 100),
            AbsentModels = absent is null ? null : MessagePackMap.Read(absent),
        };
    }

    private static double Cell(byte[] board, int capacity, int column, int slot) =>
        BinaryPrimitives.ReadDoubleLittleEndian(board.AsSpan(Header + (4 * capacity) + (8 * ((capacity * column) + slot))));

    private static int Small(ReadOnlySpan<byte> card, int at) => (int)BinaryPrimitives.ReadUInt32LittleEndian(card[at..]);

    private static long Big(ReadOnlySpan<byte> card, int at) => (long)BinaryPrimitives.ReadDoubleLittleEndian(card[at..]);

    private static BackendTotals TotalsOf(byte[] totals, int slot, byte[]? lastError)
    {
        // A string of counters ends where nothing was counted yet.
        var mine = new byte[Stride];
        var at = slot * Stride;
        if (at < totals.Length)
        {
            totals.AsSpan(at, Math.Min(Stride, totals.Length - at)).CopyTo(mine);
        }

        var kinds = new long[Enum.GetValues<Proxy.OutcomeKind>().Length];
        for (var kind = 0; kind < kinds.Length; kind++)
        {
            kinds[kind] = Field(mine, kind);
        }

        return BackendTotals.From(
            kinds, Field(mine, 32), Field(mine, 33), Buckets(mine, 0, Field(mine, 34)), Buckets(mine, Histogram.Buckets, Field(mine, 35)),
            lastError is null ? null : System.Text.Encoding.UTF8.GetString(lastError), Field(mine, 36), Field(mine, 37));
    }

    /// <summary>BITFIELD counts in network order.</summary>
    private static long Field(ReadOnlySpan<byte> totals, int field) => BinaryPrimitives.ReadInt64BigEndian(totals[(8 * field)..]);

    private static Histogram Buckets(ReadOnlySpan<byte> totals, int first, long sumMicroseconds)
    {
        var counts = new long[Histogram.Buckets];
        for (var bucket = 0; bucket < counts.Length; bucket++)
        {
            counts[bucket] = BinaryPrimitives.ReadUInt32BigEndian(totals[(BucketsAt + (4 * (first + bucket)))..]);
        }

        return Histogram.From(counts, sumMicroseconds);
    }

    private static Dictionary<string, byte[]> Pairs(RedisResult hash)
    {
        var flat = (RedisResult[])hash!;
        var pairs = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        for (var i = 0; i + 1 < flat.Length; i += 2)
        {
            pairs[(string)flat[i]!] = (byte[])flat[i + 1]!;
        }

        return pairs;
    }
}
