using Roadbalancer.Client;
using Roadbalancer.Options;

namespace Roadbalancer;

/// <summary>What is done about a stream that breaks after its first tokens have been given out: key <c>stream_recovery</c>.</summary>
public enum StreamRecoveryMode
{
    /// <summary>Ask again elsewhere, compare with what has been given out, go on unseen from where it broke. The default.</summary>
    Replay,

    /// <summary>Let an endpoint continue the partial answer where it can (<see cref="Endpoint.Continuation"/>); else as <see cref="Replay"/>.</summary>
    Continue,

    /// <summary>Hold every answer back until it is whole.</summary>
    Buffer,

    /// <summary>End in a clear error.</summary>
    Off,
}

/// <summary>How a <see cref="LoadBalancer"/> works; what is null takes the configuration's default. Values are checked when the balancer is made, all at once.</summary>
public sealed class LoadBalancerSettings
{
    /// <summary>Which endpoint gets the next request. Default <see cref="BalancingStrategy.RoundRobin"/>. Key <c>strategy</c>.</summary>
    public BalancingStrategy Strategy { get; init; }

    /// <summary>Whether endpoints are probed. Default true. Key <c>health_check.enabled</c>.</summary>
    public bool EnableHealthCheck { get; init; } = true;

    /// <summary>Time between probes of one endpoint. 1 ms to 1 day, default 30 s. Key <c>health_check.interval</c>, seconds.</summary>
    public TimeSpan? HealthCheckInterval { get; init; }

    /// <summary>More attempts at one endpoint after the first; 0 turns every retry off. 0 to 100, default 2. Key <c>retry_count</c>.</summary>
    public int? RetryCount { get; init; }

    /// <summary>False: a failed attempt is final. Default true. Key <c>fallback_on_failure</c>.</summary>
    public bool? FallbackOnFailure { get; init; }

    /// <summary>Default of <see cref="Endpoint.Timeout"/>. 1 ms to 1 day, default 60 s. Key <c>timeout</c>, seconds.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The whole of a request, attempts, waits and stream included. 1 ms to 1 day, default 1 hour. Key <c>total_timeout</c>, seconds.</summary>
    public TimeSpan? TotalTimeout { get; init; }

    /// <summary>Consecutive failures that take an endpoint out. 1 to 1,000, default 3. Key <c>failure_threshold</c>.</summary>
    public int? FailureThreshold { get; init; }

    /// <summary>How long an endpoint stays out the first time; doubles up to <see cref="CooldownMax"/>. 1 ms to 1 day, default 5 s. Key <c>cooldown</c>, seconds.</summary>
    public TimeSpan? Cooldown { get; init; }

    /// <summary>The longest cooldown, not below <see cref="Cooldown"/>. 1 ms to 1 day, default 60 s. Key <c>cooldown_max</c>, seconds.</summary>
    public TimeSpan? CooldownMax { get; init; }

    /// <summary>The longest wait for an endpoint that is full or parked; 0 refuses at once. 0 to 1 day, default 5 s. Key <c>max_queue_wait</c>, seconds.</summary>
    public TimeSpan? MaxQueueWait { get; init; }

    /// <summary>What is done about a stream that breaks midway. Default <see cref="StreamRecoveryMode.Replay"/>. Key <c>stream_recovery</c>.</summary>
    public StreamRecoveryMode StreamRecovery { get; init; }

    /// <summary>
    /// Any other setting, by its key in a configuration file and with a value as it is written there: <c>["hedge_after"] = "p95"</c>. Default none.
    /// A key that a property of this class stands for is refused as given twice.
    /// </summary>
    public IReadOnlyDictionary<string, string>? More { get; init; }

    /// <summary>The same as a configuration file's top level, without endpoints.</summary>
    internal SettingMap ToMap()
    {
        var map = new SettingMap()
            .Add("strategy", Enum.IsDefined(Strategy) ? Proxy.Trail.SnakeCase(NameOf(Strategy)) : Strategy.ToString())
            .Add("load_balance_enabled", true)
            .Add("health_check", new SettingMap().Add("enabled", EnableHealthCheck).Add("interval", HealthCheckInterval).ToNode())
            .Add("retry_count", RetryCount)
            .Add("fallback_on_failure", FallbackOnFailure)
            .Add("timeout", Timeout)
            .Add("total_timeout", TotalTimeout)
            .Add("failure_threshold", FailureThreshold)
            .Add("cooldown", Cooldown)
            .Add("cooldown_max", CooldownMax)
            .Add("max_queue_wait", MaxQueueWait)
            .Add("stream_recovery", StreamRecovery.ToString());
        foreach (var (key, value) in More ?? new Dictionary<string, string>())
        {
            map.Add(key, value);
        }

        return map;
    }

    /// <summary>Aliases have the same value, so that an enumeration's own name for it could be either.</summary>
    private static string NameOf(BalancingStrategy strategy) => strategy switch
    {
        BalancingStrategy.WeightedRoundRobin => nameof(BalancingStrategy.WeightedRoundRobin),
        BalancingStrategy.LeastConnections => nameof(BalancingStrategy.LeastConnections),
        _ => strategy.ToString(),
    };
}
