using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.StateCost;

/// <summary>
/// What shared state costs: scripts' time in Redis, latency of a choice beside redis-benchmark's own, processor time of this process and of
/// the whole program a request, each at 3 and at 300 backends. <c>dotnet run -c Release --project bench/StateCost</c>
/// <c>-- scripts</c> leaves the whole program out.
/// </summary>
internal static class Program
{
    private const int Rounds = 15;
    private const int Calls = 400;
    private const int AtOnce = 64;
    private const int Repeats = 10;

    private static async Task Main(string[] arguments)
    {
        await using var redis = await BenchRedis.StartAsync();
        await using var link = new RedisLink(RedisAddress.Parse(redis.Connection, out _)!, TimeSpan.FromSeconds(5), TimeProvider.System, NullLogger<RedisLink>.Instance);
        await link.ConnectAsync();
        foreach (var backends in new[] { 3, 300 })
        {
            if (!arguments.Contains("scripts"))
            {
                await ProgramAsync(redis, backends);
            }

            foreach (var strategy in StrategyTable.All)
            {
                await redis.FlushAsync();
                await MeasureAsync(redis, link, PoolOf(strategy.Name, backends));
            }
        }
    }

    private static async Task ProgramAsync(BenchRedis redis, int backends)
    {
        (string, string) redisOn = ("REDIS_CONNECTION", redis.Connection);
        var memory = await ProgramCost.MeasureAsync(backends);
        var strict = await ProgramCost.MeasureAsync(backends, redisOn);
        var relaxed = await ProgramCost.MeasureAsync(backends, redisOn, ("ROADBALANCER_CONSISTENCY", "relaxed"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"the program with {backends} backends, µs of processor time a request: {memory:0} in memory, {strict:0} strict, {relaxed:0} relaxed"));
    }

    private static Pool PoolOf(string strategy, int backends) => new(
        new BalancerOptions
        {
            Strategy = strategy,
            Backends = [.. Enumerable.Range(0, backends).Select(i => new Backend { Name = $"backend-{i}", BaseUrl = new Uri($"http://backend-{i}.test/v1"), MaxConnections = 100_000 })],
        },
        version: 1);

    private static async Task MeasureAsync(BenchRedis redis, RedisLink link, Pool pool)
    {
        await using var state = new RedisState(link, "b:", TimeProvider.System, new Chance(1));
        var chance = new Chance(2);
        var leases = new List<Lease>(Calls);
        var acquires = new List<double>();
        List<double> taking = [], giving = [];
        List<Together> together = [];
        (double Median, double P99) floor = (double.MaxValue, double.MaxValue);
        for (var round = 0; round < Rounds; round++)
        {
            var benchmark = await redis.BenchmarkAsync(Calls);
            floor = (Math.Min(floor.Median, benchmark.Median), Math.Min(floor.P99, benchmark.P99));
            await redis.ForgetCostAsync();
            for (var i = 0; i < Calls; i++)
            {
                var began = TimeProvider.System.GetTimestamp();
                leases.Add((await state.AcquireAsync(Request(pool, chance), CancellationToken.None))!);
                acquires.Add(TimeProvider.System.GetElapsedTime(began).TotalMilliseconds);
            }

            taking.Add((await redis.ScriptCostAsync()).Microseconds);
            await redis.ForgetCostAsync();
            foreach (var lease in leases)
            {
                await state.ReleaseAsync(lease, Success(chance));
            }

            giving.Add((await redis.ScriptCostAsync()).Microseconds);
            leases.Clear();
            together.Add(await TogetherAsync(redis, state, pool, chance));
        }

        acquires.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{pool.Strategy.Name,-22} {pool.Backends.Length,4} backends: acquire {taking.Min():0.0} µs (median {Median(taking):0.0}), release {giving.Min():0.0} µs (median {Median(giving):0.0}), of script; "
            + $"{AtOnce} at once: acquire {together.Min(one => one.Taking):0.0} µs of script, release {together.Min(one => one.Giving):0.0} µs; "
            + $"{AtOnce} that acquire and release: {together.Min(one => one.Both):0.0} µs of script a pair in {together.Average(one => one.Pairs):0.0} pairs a call, {together.Min(one => one.Own):0.0} µs of this process; "
            + $"acquire p50 {acquires[acquires.Count / 2]:0.000} ms, p99 {acquires[acquires.Count * 99 / 100]:0.000} ms; redis-benchmark EVALSHA p50 {floor.Median:0.000} ms, p99 {floor.P99:0.000} ms"));
    }

    /// <summary>What one of many costs: all of them take at the same moment, then give back, and then each of them does both again and again.</summary>
    private static async Task<Together> TogetherAsync(BenchRedis redis, RedisState state, Pool pool, Chance chance)
    {
        await redis.ForgetCostAsync();
        var leases = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => state.AcquireAsync(Request(pool, chance), CancellationToken.None).AsTask()));
        var taking = await CostAsync(redis, AtOnce);
        await Task.WhenAll(leases.Select(lease => state.ReleaseAsync(lease!, Success(chance)).AsTask()));
        var giving = await CostAsync(redis, AtOnce);
        var before = Environment.CpuUsage.TotalTime;
        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async seed =>
        {
            var own = new Chance((ulong)seed);
            for (var i = 0; i < Repeats; i++)
            {
                var lease = await state.AcquireAsync(Request(pool, own), CancellationToken.None);
                await state.ReleaseAsync(lease!, Success(own));
            }
        }));
        var used = (Environment.CpuUsage.TotalTime - before).TotalMicroseconds / (AtOnce * Repeats);
        var (_, calls) = await redis.ScriptCostAsync();
        return new(taking, giving, await CostAsync(redis, AtOnce * Repeats), (double)AtOnce * Repeats / calls, used);
    }

    private static async Task<double> CostAsync(BenchRedis redis, int errands)
    {
        var (microseconds, calls) = await redis.ScriptCostAsync();
        await redis.ForgetCostAsync();
        return microseconds * calls / errands;
    }

    private static AttemptOutcome Success(Chance chance) =>
        new(OutcomeKind.Succeeded) { DurationMs = 900 + chance.Next(200), FirstTokenMs = 50 + chance.Next(40), InputTokens = 100, OutputTokens = 200 };

    /// <param name="Taking">µs of script an acquire.</param>
    /// <param name="Giving">µs of script a release.</param>
    /// <param name="Both">µs of script an acquire with its release.</param>
    /// <param name="Pairs">Acquires with their releases a call.</param>
    /// <param name="Own">µs of processor time of this process an acquire with its release.</param>
    private readonly record struct Together(double Taking, double Giving, double Both, double Pairs, double Own);

    private static double Median(List<double> numbers) => numbers.Order().ElementAt(numbers.Count / 2);

    private static AcquireRequest Request(Pool pool, Chance chance) => new()
    {
        Pool = pool,
        Model = "m",
        Roll1 = chance.NextDouble(),
        Roll2 = chance.NextDouble(),
        SlowStartRoll = 0.5,
        AffinityKey = chance.NextBits(),
    };
}
