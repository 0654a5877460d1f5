using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>Which of the three ways of working is in force; announced in the log at start.</summary>
internal enum BalancingMode
{
    /// <summary>One backend, straight forwarding: no selection, no retry, no health machinery on the path.</summary>
    SingleBackend,

    /// <summary>One backend with health checks, metrics and retries.</summary>
    SingleBackendBalanced,

    /// <summary>Several backends.</summary>
    Balanced,
}

/// <summary>How far instances that share a Redis agree: <c>consistency</c>.</summary>
internal enum Consistency
{
    /// <summary>Every choice is made in Redis, once for all instances.</summary>
    Strict,

    /// <summary>Every instance chooses by what it knows of the others.</summary>
    Relaxed,
}

/// <summary>What is done about a stream that breaks after its first bytes have gone to the client: <c>stream_recovery</c>.</summary>
internal enum StreamRecovery
{
    /// <summary>Ask again elsewhere, compare with what the client has, go on unseen from where it broke.</summary>
    Replay,

    /// <summary>Send the partial answer as an assistant prefix to a backend that can continue it; else as <see cref="Replay"/>.</summary>
    Continue,

    /// <summary>Hold every answer back until it is whole.</summary>
    Buffer,

    /// <summary>End in a clear error.</summary>
    Off,
}

/// <summary>Everything a user configures, validated and with defaults filled in. Built by the loader, never by hand in production code.</summary>
internal sealed record BalancerOptions
{
    /// <summary>How the backend for a request is chosen among those that can take it. Keys <c>strategy</c>, <c>LLM_STRATEGY</c>, <c>LOAD_BALANCE_STRATEGY</c>. Default <c>round_robin</c>.</summary>
    public string Strategy { get; init; } = "round_robin";

    /// <summary>Single or balanced; follows from the backends and <c>LOAD_BALANCE_ENABLED</c>.</summary>
    public BalancingMode Mode { get; init; } = BalancingMode.Balanced;

    /// <summary>The backends in the order of configuration; never empty, names unique.</summary>
    public ImmutableArray<Backend> Backends { get; init; } = [];

    /// <summary>Further attempts at one backend after the first. 0 to 100, default 2. Keys <c>retry_count</c>, <c>MAX_RETRIES</c>.</summary>
    public int RetryCount { get; init; } = 2;

    /// <summary>Whether a failed attempt is followed by others, here or elsewhere; false: it is final. Key <c>fallback_on_failure</c>, default true.</summary>
    public bool FallbackOnFailure { get; init; } = true;

    /// <summary>Whether backends are probed. Keys <c>health_check.enabled</c>, <c>LLM_HEALTH_CHECK</c>; default true.</summary>
    public bool HealthCheckEnabled { get; init; } = true;

    /// <summary>Time between two probes of a backend, give or take a tenth. Keys <c>health_check.interval</c>, <c>HEALTH_CHECK_INTERVAL</c>, seconds; default 30.</summary>
    public TimeSpan HealthCheckInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Failures in a row, of probes and requests alike, that take a backend out. 1 to 1,000, default 3. Keys <c>failure_threshold</c>, <c>FAILURE_THRESHOLD</c>.</summary>
    public int FailureThreshold { get; init; } = 3;

    /// <summary>Share of failed requests within <see cref="FailureWindow"/> that takes a backend out. Above 0, to 1, default 0.5. Key <c>failure_ratio</c>.</summary>
    public double FailureRatio { get; init; } = 0.5;

    /// <summary>Requests within the window without which <see cref="FailureRatio"/> is not looked at. 1 to 1,000,000, default 20. Key <c>failure_ratio_minimum</c>.</summary>
    public int FailureRatioMinimum { get; init; } = 20;

    /// <summary>The time that <see cref="FailureRatio"/> looks back. Key <c>failure_window</c>, seconds, default 30.</summary>
    public TimeSpan FailureWindow { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a backend stays out the first time; it doubles with each failed trial up to <see cref="CooldownMax"/>. Key <c>cooldown</c>, seconds, default 5.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest cooldown. Key <c>cooldown_max</c>, seconds, default 60.</summary>
    public TimeSpan CooldownMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time over which a recovered backend's share grows, from a tenth, to its full size; 0 for at once. Key <c>slow_start</c>, seconds, default 10.</summary>
    public TimeSpan SlowStart { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a backend without quota is left alone when it does not say until when. Key <c>quota_park</c>, seconds, default 300.</summary>
    public TimeSpan QuotaPark { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>How long a model that a backend does not have is not asked of it again. Key <c>model_absent_park</c>, seconds, default 60.</summary>
    public TimeSpan ModelAbsentPark { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether requests are tried at the least bad backend when every one is out; false: they are refused. Key <c>panic_mode</c>, default true.</summary>
    public bool PanicMode { get; init; } = true;

    /// <summary>The whole of a request, attempts, waits and stream included. Key <c>total_timeout</c>, seconds, default 3600.</summary>
    public TimeSpan TotalTimeout { get; init; } = TimeSpan.FromSeconds(3600);

    /// <summary>The longest <c>Retry-After</c> that is waited for at the same backend before a worse group is used. Key <c>max_retry_wait</c>, seconds, default 5.</summary>
    public TimeSpan MaxRetryWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest wait for a backend to come free while all are full or parked; 0 refuses at once. Key <c>max_queue_wait</c>, seconds, default 5.</summary>
    public TimeSpan MaxQueueWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests that may wait at the same time at one instance. 0 to 1,000,000, default 1,000. Key <c>max_queue_length</c>.</summary>
    public int MaxQueueLength { get; init; } = 1_000;

    /// <summary>Retries as a share of the requests of the last 10 s. 0 to 1, default 0.2. Key <c>retry_budget</c>.</summary>
    public double RetryBudgetRatio { get; init; } = 0.2;

    /// <summary>Retries in 10 s that are allowed however few requests there are. 0 to 1,000,000, default 10. Key <c>retry_budget_floor</c>.</summary>
    public int RetryBudgetFloor { get; init; } = 10;

    /// <summary>
    /// What is done about a stream that breaks midway: asked again elsewhere and joined (<c>replay</c>), continued by a backend that can (<c>continue</c>), every
    /// answer held back until it is whole (<c>buffer</c>), ended in an error event (<c>off</c>). Key <c>stream_recovery</c>, default <c>replay</c>.
    /// </summary>
    public StreamRecovery StreamRecovery { get; init; } = StreamRecovery.Replay;

    /// <summary>
    /// While a client that asked for a stream has to wait, it gets a comment after each such time, at first with a status of 200: what fails later is told by
    /// an error event. 0 or null is off. Key <c>stream_keep_alive</c>, seconds; default 30 behind the Functions host, else 0.
    /// </summary>
    public TimeSpan? StreamKeepAlive { get; init; }

    /// <summary>How long an answer may be silent, its beginning included, before the platform in front cuts the connection; null for no such platform. Not a setting.</summary>
    public TimeSpan? LongestSilence { get; init; }

    /// <summary>
    /// How long a request waits for its answer before a second backend is asked too: a time, or <c>p95</c> (here zero) for the 95th percentile of the first backend.
    /// <c>off</c> (here null), the default, asks none. Key <c>hedge_after</c>, seconds.
    /// </summary>
    public TimeSpan? HedgeAfter { get; init; }

    /// <summary>Share of requests for which a second backend may be asked under <see cref="HedgeAfter"/>. 0 to 1, default 0.05. Key <c>hedge_ratio</c>.</summary>
    public double HedgeRatio { get; init; } = 0.05;

    /// <summary>The largest request body, in bytes; a larger one gets 413. 1 to 104,857,600, default 104,857,600 (100 MiB). Key <c>max_body_bytes</c>.</summary>
    public long MaxBodyBytes { get; init; } = 104_857_600;

    /// <summary>What clients must present; with none, anyone may call. Each is a secret (<c>env:NAME</c> reads a variable) with a name, and may have limits. Key <c>api_keys</c>.</summary>
    public ImmutableArray<ClientKey> ClientKeys { get; init; } = [];

    /// <summary>True although there are no client keys: all that there were have been taken away at run time, and nobody may call.</summary>
    public bool IsClosed { get; init; }

    /// <summary>
    /// Tokens of an answer that are reserved for a key with <c>tokens_per_minute</c> where neither the request nor a backend names a maximum.
    /// 1 to 10,000,000, default 1,024. Key <c>assumed_max_tokens</c>.
    /// </summary>
    public int AssumedMaxTokens { get; init; } = 1_024;

    /// <summary>Names of client keys that may ask how their request was routed (<c>X-Debug-Routing: 1</c>) and see every key's use in <c>/stats</c>; while there are no client keys anyone may. Key <c>debug_keys</c>.</summary>
    public ImmutableArray<string> DebugKeys { get; init; } = [];

    /// <summary>Keys of the management API, written like <c>api_keys</c> but without limits; with none it answers on this machine only, and not at all under the Functions host. None may be a client's too. Key <c>admin_keys</c>.</summary>
    public ImmutableArray<ClientKey> AdminKeys { get; init; } = [];

    /// <summary>Hosts that URLs given to the management API may have, <c>*</c> for any characters, a port where one is meant; with none, any but link-local and metadata addresses. Key <c>allowed_backend_hosts</c>.</summary>
    public ImmutableArray<string> AllowedBackendHosts { get; init; } = [];

    /// <summary>Whether the Azure Functions host started this process: then every caller looks local. Not a key.</summary>
    public bool BehindFunctionsHost { get; init; }

    /// <summary>What a backend that comes at run time inherits where it says nothing. Not a key.</summary>
    public BackendDefaults BackendDefaults { get; init; } = BackendDefaults.None;

    /// <summary>How long the answer to <c>GET /v1/models</c>, put together from all backends, is kept; 0 asks each time. Key <c>models_cache</c>, seconds, default 10.</summary>
    public TimeSpan ModelsCache { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time between two settlements with the ledger where this process keeps one itself. Key <c>settle_interval</c>, seconds, 0.001 to 3,600, default 30.</summary>
    public TimeSpan SettleInterval { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The Redis that instances share their state in, <c>host:6379,password=…,ssl=true</c> or <c>rediss://:password@host:6380/0</c>; <c>env:NAME</c> reads a variable. With none, state is
    /// in memory. Key <c>redis_connection</c>. Read at start only.
    /// </summary>
    public Redis.RedisAddress? Redis { get; init; }

    /// <summary>Whether a Redis that cannot be reached at start ends the start, with code 1. Key <c>redis_required</c>, default false.</summary>
    public bool RedisRequired { get; init; }

    /// <summary>How long a call to Redis may take before memory decides. Key <c>redis_timeout</c>, seconds, 0.001 to 60, default 0.25. Read at start only.</summary>
    public TimeSpan RedisTimeout { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Whether instances that share a Redis decide in it (<c>strict</c>: one round trip a request, limits and turns exact) or each from memory with
    /// what the others reported in the last 100 ms (<c>relaxed</c>: no round trip; n instances exceed a limit by at most what n − 1 of them admit
    /// meanwhile). Key <c>consistency</c>, default <c>strict</c>; without Redis it makes no difference. Read at start only.
    /// </summary>
    public Consistency Consistency { get; init; }

    /// <summary>What every key in Redis begins with: deployments that share a Redis have one each. Key <c>redis_key_prefix</c>, default <c>rb:</c>. Read at start only.</summary>
    public string RedisKeyPrefix { get; init; } = "rb:";
}
