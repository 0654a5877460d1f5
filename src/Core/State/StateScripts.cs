using Roadbalancer.Redis;
using Roadbalancer.Strategies;

namespace Roadbalancer.State;

/// <summary>The scripts of <see cref="RedisState"/>, composed from the files in <c>Lua/</c>.</summary>
internal static class StateScripts
{
    public static readonly RedisScript Release = RedisScript.Compose("common", "vitals", "settle", "release");
    public static readonly RedisScript Enroll = RedisScript.Compose("common", "enroll");
    public static readonly RedisScript Read = RedisScript.Compose("common", "vitals", "read");
    public static readonly RedisScript Renew = RedisScript.Compose("common", "renew");
    public static readonly RedisScript Cancel = RedisScript.Compose("common", "cancel");
    public static readonly RedisScript Merge = RedisScript.Compose("common", "merge");
    public static readonly RedisScript Define = RedisScript.Compose("define");
    public static readonly RedisScript BaseRead = RedisScript.Compose("base_read");
    public static readonly RedisScript BaseKeep = RedisScript.Compose("base_keep");
    public static readonly RedisScript Reset = RedisScript.Compose("common", "reset");
    public static readonly RedisScript Turn = RedisScript.Compose("turn");

    private static readonly Dictionary<string, RedisScript> AcquireByStrategy =
        StrategyTable.All.ToDictionary(strategy => strategy.Name, strategy => RedisScript.Compose("common", "settle", "choice", $"strategies/{strategy.Name}", "acquire"));

    /// <summary>The choice by <paramref name="strategy"/>.</summary>
    public static RedisScript Acquire(IStrategy strategy) => AcquireByStrategy[strategy.Name];
}
