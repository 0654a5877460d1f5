using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Roadbalancer.Strategies;

namespace Roadbalancer.Options;

/// <summary>One setting that is not part of a backend: its key in a file, its variables, and where its value goes.</summary>
/// <param name="Key">The key; a dot stands for a map in the file (<c>health_check.interval</c>).</param>
/// <param name="Apply">Binds the value; leaves the draft alone when it is wrong.</param>
internal sealed record Setting(string Key, Action<OptionsDraft, SettingReader> Apply)
{
    /// <summary>Other keys for the same.</summary>
    public ImmutableArray<string> Synonyms { get; init; } = [];

    /// <summary>Family A's variable; null for none.</summary>
    public string? VariableA { get; init; }

    /// <summary>Family B's variable; null for none. It wins over family A's.</summary>
    public string? VariableB { get; init; }

    /// <summary>A variable of neither family; by default <c>ROADBALANCER_</c> and the key where the families have none.</summary>
    public string? Variable
    {
        get => field ?? (VariableA is null && VariableB is null ? "ROADBALANCER_" + Key.ToUpperInvariant().Replace('.', '_') : null);
        init;
    }
}

/// <summary>Every setting that is not part of a backend. File, environment and command line all go through this one table.</summary>
internal static class SettingTable
{
    public static readonly ImmutableArray<Setting> Rows =
    [
        new("strategy", BindStrategy) { Synonyms = ["load_balance_strategy"], VariableA = "LLM_STRATEGY", VariableB = "LOAD_BALANCE_STRATEGY" },
        new("load_balance_enabled", (draft, value) => draft.LoadBalanceEnabled = value.Flag() ?? draft.LoadBalanceEnabled) { VariableB = "LOAD_BALANCE_ENABLED" },
        new("timeout", (draft, value) => draft.Times = draft.Times with { Timeout = value.Seconds() ?? draft.Times.Timeout }) { VariableA = "LLM_TIMEOUT" },
        new("connect_timeout", (draft, value) => draft.Times = draft.Times with { Connect = value.Seconds() ?? draft.Times.Connect }),
        new("ttft_timeout", (draft, value) => draft.Times = draft.Times with { FirstToken = value.Seconds() ?? draft.Times.FirstToken }),
        new("stream_idle_timeout", (draft, value) => draft.Times = draft.Times with { StreamIdle = value.Seconds() ?? draft.Times.StreamIdle }),
        Row("retry_count", v => v.Whole(0, 100), (o, n) => o with { RetryCount = n }) with { Synonyms = ["max_retries"], VariableB = "MAX_RETRIES" },
        Row("fallback_on_failure", v => v.Flag(), (o, flag) => o with { FallbackOnFailure = flag }),
        Row("health_check.enabled", v => v.Flag(), (o, flag) => o with { HealthCheckEnabled = flag }) with { VariableA = "LLM_HEALTH_CHECK" },
        Row("health_check.interval", v => v.Seconds(), (o, time) => o with { HealthCheckInterval = time }) with
        {
            Synonyms = ["health_check_interval"],
            VariableB = "HEALTH_CHECK_INTERVAL",
        },
        Row("failure_threshold", v => v.Whole(1, 1_000), (o, n) => o with { FailureThreshold = n }) with { VariableB = "FAILURE_THRESHOLD" },
        Row("failure_ratio", v => v.Number(0, 1, above: true), (o, ratio) => o with { FailureRatio = ratio }),
        Row("failure_ratio_minimum", v => v.Whole(1, 1_000_000), (o, n) => o with { FailureRatioMinimum = n }),
        Row("failure_window", v => v.Seconds(), (o, time) => o with { FailureWindow = time }),
        Row("cooldown", v => v.Seconds(), (o, time) => o with { Cooldown = time }),
        Row("cooldown_max", v => v.Seconds(), (o, time) => o with { CooldownMax = time }),
        Row("slow_start", v => v.Seconds(orZero: true), (o, time) => o with { SlowStart = time }),
        Row("quota_park", v => v.Seconds(orZero: true), (o, time) => o with { QuotaPark = time }),
        Row("model_absent_park", v => v.Seconds(orZero: true), (o, time) => o with { ModelAbsentPark = time }),
        Row("panic_mode", v => v.Flag(), (o, flag) => o with { PanicMode = flag }),
        Row("total_timeout", v => v.Seconds(), (o, time) => o with { TotalTimeout = time }),
        Row("max_retry_wait", v => v.Seconds(orZero: true), (o, time) => o with { MaxRetryWait = time }),
        Row("max_queue_wait", v => v.Seconds(orZero: true), (o, time) => o with { MaxQueueWait = time }),
        Row("max_queue_length", v => v.Whole(0, 1_000_000), (o, n) => o with { MaxQueueLength = n }),
        Row("retry_budget", v => v.Number(0, 1), (o, ratio) => o with { RetryBudgetRatio = ratio }),
        Row("retry_budget_floor", v => v.Whole(0, 1_000_000), (o, n) => o with { RetryBudgetFloor = n }),
        Row("stream_recovery", Recovery, (o, recovery) => o with { StreamRecovery = recovery }),
        Row("stream_keep_alive", v => v.Seconds(orZero: true), (o, time) => o with { StreamKeepAlive = time }),
        new("hedge_after", BindHedge),
        Row("hedge_ratio", v => v.Number(0, 1), (o, ratio) => o with { HedgeRatio = ratio }),
        Row("max_body_bytes", v => v.Whole(1L, 104_857_600), (o, bytes) => o with { MaxBodyBytes = bytes }),
        Row("models_cache", v => v.Seconds(orZero: true), (o, time) => o with { ModelsCache = time }),
        new("redis_connection", BindRedis) { Variable = "REDIS_CONNECTION" },
        Row("redis_required", v => v.Flag(), (o, flag) => o with { RedisRequired = flag }),
        Row("redis_timeout", v => v.Seconds(most: 60), (o, time) => o with { RedisTimeout = time }),
        Row("consistency", v => v.OneOf(("strict", Consistency.Strict), ("relaxed", Consistency.Relaxed)), (o, consistency) => o with { Consistency = consistency }),
        new("redis_key_prefix", BindRedisPrefix) { Variable = "REDIS_KEY_PREFIX" },
        new("api_keys", (draft, value) => draft.Options = draft.Options with { ClientKeys = ClientKeyList.Bind(value) }),
        Row("assumed_max_tokens", v => v.Whole(1, 10_000_000), (o, n) => o with { AssumedMaxTokens = n }),
        new("debug_keys", (draft, value) => draft.Options = draft.Options with { DebugKeys = [.. BackendTable.Words(value)] }),
        new("data", (draft, value) => draft.Data = value.Text(longest: 4_096) ?? draft.Data),
        Row("settle_interval", v => v.Seconds(most: 3_600), (o, time) => o with { SettleInterval = time }),
        new("admin_keys", (draft, value) => draft.Options = draft.Options with { AdminKeys = ClientKeyList.Bind(value, mayLimit: false) }),
        new("allowed_backend_hosts", (draft, value) => draft.Options = draft.Options with { AllowedBackendHosts = [.. BackendTable.Words(value)] }),
        new("host", (draft, value) => draft.Host = Listening.Host(value) ?? draft.Host) { Variable = "HOST" },
        new("port", (draft, value) => draft.Port = value.Whole(0, 65_535) ?? draft.Port) { Variable = "PORT" },
        new("log_format", (draft, value) => draft.LogFormat = value.OneOf(("text", LogFormat.Text), ("json", LogFormat.Json)) ?? draft.LogFormat),
        new("log_level", (draft, value) => draft.LogLevel = Level(value) ?? draft.LogLevel),
    ];

    /// <summary>Keys of a file's top level that are not in <see cref="Rows"/>: the list of backends by either name.</summary>
    public static readonly ImmutableArray<string> EndpointKeys = ["endpoints", "backends"];

    /// <summary>Every key that a file may have at its top level, synonyms included.</summary>
    public static string[] FileKeys => [.. EndpointKeys, .. ByKey.Keys.Select(key => key.Split('.')[0]).Distinct()];

    private static readonly Dictionary<string, Setting> ByKey = Index();

    /// <summary>The setting with that key or synonym; null for none.</summary>
    public static Setting? Find(string key) => ByKey.GetValueOrDefault(key);

    /// <summary>A plain loop: LINQ over pairs would be compiled at every start, which this table is part of.</summary>
    private static Dictionary<string, Setting> Index()
    {
        var index = new Dictionary<string, Setting>(StringComparer.Ordinal);
        foreach (var row in Rows)
        {
            index.Add(row.Key, row);
            foreach (var synonym in row.Synonyms)
            {
                index.Add(synonym, row);
            }
        }

        return index;
    }

    /// <summary>A setting that is a property of <see cref="BalancerOptions"/> and nothing else.</summary>
    private static Setting Row<T>(string key, Func<SettingReader, T?> read, Func<BalancerOptions, T, BalancerOptions> set)
        where T : struct =>
        new(key, (draft, value) => draft.Options = read(value) is { } bound ? set(draft.Options, bound) : draft.Options);

    private static void BindStrategy(OptionsDraft draft, SettingReader value)
    {
        if (value.Text() is not { } name)
        {
            return;
        }

        if (StrategyTable.Knows(name))
        {
            draft.Options = draft.Options with { Strategy = name.ToLowerInvariant() };
            return;
        }

        value.Refuse($"must be one of {string.Join(", ", StrategyTable.Names)}");
    }

    private static void BindHedge(OptionsDraft draft, SettingReader value)
    {
        if (value.Node.Kind != SettingKind.Scalar)
        {
            value.Text();
            return;
        }

        draft.Options = value.Node.Text.Trim().ToLowerInvariant() switch
        {
            "p95" => draft.Options with { HedgeAfter = TimeSpan.Zero },
            "off" or "false" => draft.Options with { HedgeAfter = null },
            _ when value.Number(0.001, 86_400, unit: " (seconds), p95 or off") is { } seconds => draft.Options with { HedgeAfter = TimeSpan.FromSeconds(seconds) },
            _ => draft.Options,
        };
    }

    private static void BindRedis(OptionsDraft draft, SettingReader value)
    {
        var secret = value with { Secret = true };
        if (secret.Credential() is not { } text)
        {
            return;
        }

        if (Redis.RedisAddress.Parse(text, out var problem) is { } address)
        {
            draft.Options = draft.Options with { Redis = address };
            return;
        }

        secret.Report(problem);
    }

    private static void BindRedisPrefix(OptionsDraft draft, SettingReader value)
    {
        if (value.Text(longest: 64) is not { } prefix)
        {
            return;
        }

        // Braces in a prefix would take the place of the pool's name as the hash tag.
        if (prefix.AsSpan().IndexOfAny('{', '}', ' ') < 0)
        {
            draft.Options = draft.Options with { RedisKeyPrefix = prefix };
            return;
        }

        value.Refuse("must be 1 to 64 characters without spaces and braces");
    }

    private static StreamRecovery? Recovery(SettingReader value) => value.OneOf(
        ("replay", StreamRecovery.Replay), ("continue", StreamRecovery.Continue), ("buffer", StreamRecovery.Buffer), ("off", StreamRecovery.Off));

    private static LogLevel? Level(SettingReader value) => value.OneOf(
        ("trace", LogLevel.Trace), ("debug", LogLevel.Debug), ("information", LogLevel.Information), ("warning", LogLevel.Warning),
        ("error", LogLevel.Error), ("critical", LogLevel.Critical), ("none", LogLevel.None));
}
