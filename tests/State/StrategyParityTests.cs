using System.Buffers.Binary;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;
using StackExchange.Redis;

namespace Roadbalancer.Tests.State;

/// <summary>Holds each strategy's C# and Lua to the same choices. Many cases go in one call; a failure names the seed of its case.</summary>
public sealed class StrategyParityTests(SharedRedis redis)
{
    private const int Cases = 10_000;
    private const int Batch = 500;

    /// <summary>For each case four arguments: numbers, board, candidates' slots and weights, ring order. Returns one choice of two bytes a case.</summary>
    private const string Harness = """
        local choices = {}
        for at = 1, #ARGV, 4 do
          local n
          now, turn, roll1, roll2, n = unpack_('<ddddd', ARGV[at])
          local turnOfCase = turn
          board = ARGV[at + 1]
          readHead()
          turn = turnOfCase
          inFlight = { unpack_('<' .. string.rep('I4', capacity), board, HEADER + 1) }
          slots = { unpack_('<' .. string.rep('I2', n), ARGV[at + 2]) }
          weights = { unpack_('<' .. string.rep('I4', n), ARGV[at + 2], 2 * n + 1) }
          ring = { unpack_('<' .. string.rep('I2', #ARGV[at + 3] / 2), ARGV[at + 3]) }
          ring[#ring] = nil
          local candidates = {}
          for i = 1, n do candidates[i] = i end
          choices[#choices + 1] = pack_('<I2', pick(candidates, n) - 1)
        end
        return table.concat(choices)
        """;

    public static TheoryData<string> Names => [.. StrategyTable.All.Select(strategy => strategy.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Pick_RandomPools_LuaChoosesTheSame(string name)
    {
        var strategy = StrategyTable.Get(name);
        var script = RedisScript.ComposeWith(Harness, "common", "choice", $"strategies/{name}");
        for (var first = 0; first < Cases; first += Batch)
        {
            var cases = Enumerable.Range(first, Batch).Select(seed => new Case(strategy, (ulong)seed)).ToList();
            var reply = await redis.Link.EvaluateAsync(script, ["parity"], [.. cases.SelectMany(one => one.Arguments)]);
            Assert.Null(reply.Fault);
            for (var i = 0; i < Batch; i++)
            {
                var lua = BinaryPrimitives.ReadUInt16LittleEndian(reply.Bytes.AsSpan(2 * i));
                Assert.True(cases[i].Choice == lua, $"{name}, seed {first + i}: {cases[i].Choice} in C#, {lua} in Lua");
            }
        }
    }

    /// <summary>One random pool and moment: what C# chooses, and the same for the script.</summary>
    private sealed class Case
    {
        public Case(IStrategy strategy, ulong seed)
        {
            var chance = new Chance(seed * 7919);
            var n = 2 + chance.Next(9);
            var mostWeight = strategy is ConsistentHash ? 12 : 1_000;
            var now = 1_767_323_045_000L + chance.Next(1_000_000);
            var options = new BalancerOptions
            {
                Strategy = strategy.Name,
                Backends = [.. Enumerable.Range(0, n).Select(i => Pools.Backend($"b{i}-{chance.Next(1_000)}", 1 + (chance.Next(2) == 0 ? chance.Next(3) : chance.Next(mostWeight))))],
            };
            var pool = new Pool(options, 1);
            var candidates = new Candidate[n];
            var board = new Board(n);
            for (var i = 0; i < n; i++)
            {
                var few = chance.Next(2) == 0;
                var (load, loadAt) = chance.Next(3) > 0 ? (0, now) : (chance.NextDouble() * 5, now - chance.Next(150_000));
                candidates[i] = new Candidate
                {
                    Index = i,
                    Weight = pool.Backends[i].Weight,
                    InFlight = chance.Next(few ? 3 : 200),
                    FailureLoad = load == 0 ? 0 : Fading.At(load, loadAt, now),
                    Balance = chance.Next(2_000) - 1_000,
                    LatencyMs = chance.Next(4) == 0 ? 0 : chance.NextDouble() * 3_000,
                    LatencyAtMs = now - chance.Next(150_000),
                };
                board.Set(i, candidates[i], load, loadAt);
            }

            var input = new PickInput
            {
                Turn = chance.Next(1_000_000),
                NowMs = now,
                Roll1 = chance.NextDouble(),
                Roll2 = chance.NextDouble(),
                AffinityKey = chance.NextBits(),
                Ring = pool.Ring,
            };
            Choice = strategy.Pick(candidates, input);
            var view = new SharedView(pool, 0, 0, [.. Enumerable.Range(0, n)]);
            var selection = view.For(new AcquireRequest { Pool = pool });
            var packed = ((byte[])selection.Packed!).AsSpan();
            byte[] slotsAndWeights = [.. packed.Slice(6, 2 * n), .. packed.Slice(6 + (4 * n), 4 * n)];
            Arguments =
            [
                SharedView.Pack(now, input.Turn, input.Roll1, input.Roll2, n), board.Bytes, slotsAndWeights,
                strategy is ConsistentHash ? view.RingOrder(selection, input.AffinityKey) : [],
            ];
        }

        public int Choice { get; }

        public RedisValue[] Arguments { get; }
    }

    private sealed class Board
    {
        private readonly int _capacity;

        public Board(int capacity)
        {
            _capacity = capacity;
            Bytes = new byte[64 + (60 * capacity)];
            BinaryPrimitives.WriteDoubleLittleEndian(Bytes.AsSpan(16), capacity);
            BinaryPrimitives.WriteDoubleLittleEndian(Bytes.AsSpan(48), double.MaxValue);
        }

        public byte[] Bytes { get; }

        public void Set(int slot, in Candidate candidate, double load, long loadAt)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(Bytes.AsSpan(64 + (4 * slot)), (uint)candidate.InFlight);
            Cell(1, slot, candidate.Balance);
            Cell(3, slot, load);
            Cell(4, slot, loadAt);
            Cell(5, slot, candidate.LatencyMs);
            Cell(6, slot, candidate.LatencyAtMs);
        }

        private void Cell(int column, int slot, double value) =>
            BinaryPrimitives.WriteDoubleLittleEndian(Bytes.AsSpan(64 + (4 * _capacity) + (8 * ((column * _capacity) + slot))), value);
    }
}
