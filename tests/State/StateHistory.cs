using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>What random histories of the shared store are made of, and how it is compared with memory.</summary>
internal static class StateHistory
{
    public static Pool Definition(Chance chance, long version, string? strategy = null)
    {
        var strategies = StrategyTable.All;
        var backends = "abcdef".Select(name => Pools.Backend($"{name}", chance.Next(5)) with { MaxConnections = 1 + chance.Next(6), Priority = chance.Next(2) }).ToList();
        backends.Add(Pools.Backend("sure"));
        return new Pool(new BalancerOptions { Strategy = strategy ?? strategies[chance.Next(strategies.Count)].Name, Backends = [.. backends] }, version);
    }

    public static AcquireRequest Request(Pool pool, Chance chance) => new()
    {
        Pool = pool,
        Model = chance.Next(4) == 0 ? null : $"m{chance.Next(3)}",
        Panic = chance.Next(4) == 0,
        Only = chance.Next(8) == 0 ? chance.Next(pool.Backends.Length) : null,
        Roll1 = chance.NextDouble(),
        Roll2 = chance.NextDouble(),
        SlowStartRoll = chance.Next(8) == 0 ? 0 : chance.NextDouble(),
        AffinityKey = chance.NextBits(),
    };

    public static AttemptOutcome Outcome(Chance chance) => new(chance.Next(3) == 0 ? OutcomeKind.Succeeded : (OutcomeKind)chance.Next(Enum.GetValues<OutcomeKind>().Length))
    {
        DurationMs = chance.Next(5_000),
        FirstTokenMs = chance.Next(2) == 0 ? chance.Next(800) : null,
        InputTokens = chance.Next(100),
        OutputTokens = chance.Next(2) == 0 ? chance.Next(100) : null,
        RetryAfter = chance.Next(3) == 0 ? TimeSpan.FromMilliseconds(chance.Next(6_000)) : null,
        Detail = chance.Next(2) == 0 ? "why" : null,
    };

    public static void Compare(PoolSnapshot shared, PoolSnapshot memory, Pool pool, string where)
    {
        foreach (var backend in pool.Backends)
        {
            var (one, other) = (shared.For(backend.Name), memory.For(backend.Name));
            foreach (var property in typeof(Vitals).GetProperties().Where(property => property.Name is not (nameof(Vitals.AbsentModels) or nameof(Vitals.TrialLeaseId))))
            {
                Assert.True(Equals(property.GetValue(one.Vitals), property.GetValue(other.Vitals)),
                    $"{where}: {property.Name} of {backend.Name} is {property.GetValue(one.Vitals)} but {property.GetValue(other.Vitals)} in memory");
            }

            Assert.Equal(other.Totals.ByKind, one.Totals.ByKind);
            Assert.Equal(
                (other.Totals.Requests, other.Totals.InputTokens, other.Totals.OutputTokens, other.Totals.LastError, other.Totals.Duration.SumMicroseconds, other.Totals.FirstToken.Count),
                (one.Totals.Requests, one.Totals.InputTokens, one.Totals.OutputTokens, one.Totals.LastError, one.Totals.Duration.SumMicroseconds, one.Totals.FirstToken.Count));
        }
    }
}
