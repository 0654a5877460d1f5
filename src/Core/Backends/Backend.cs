using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Roadbalancer.Backends;

/// <summary>How a backend wants its key: <c>auth</c>.</summary>
internal enum BackendAuth
{
    /// <summary><c>Authorization: Bearer KEY</c>, the default.</summary>
    Bearer,

    /// <summary><c>api-key: KEY</c>, as Azure OpenAI wants it.</summary>
    ApiKey,

    /// <summary>No credentials are sent.</summary>
    None,
}

/// <summary>How a backend can be asked to go on with a half-finished answer; see <c>stream_recovery: continue</c>.</summary>
internal enum ContinuationForm
{
    /// <summary>It cannot; it is never asked.</summary>
    None,

    /// <summary><c>continue_final_message: true</c> beside the messages, as vLLM has it.</summary>
    ContinueFinalMessage,

    /// <summary><c>prefix: true</c> on the last assistant message, as DeepSeek and Mistral have it.</summary>
    Prefix,
}

/// <summary>
/// One endpoint as configured: immutable, with every default already filled in. What changes while it serves
/// (load, failures, latency) lives behind <see cref="State.IBalancerState"/>.
/// </summary>
internal sealed record Backend
{
    /// <summary>What it is called, uniquely whatever the case; clients see it in <c>X-Backend</c>. Key <c>name</c>, default host and port of the URL.</summary>
    public required string Name { get; init; }

    /// <summary>Where requests go. A URL without a path gets <c>/v1</c>; any other path is taken as written, a query becomes part of <c>query</c>. Key <c>url</c>.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>The backend's credential; <c>env:NAME</c> reads a variable. Never logged. Where there is none, and no client keys are configured, the client's own goes through. Key <c>api_key</c>.</summary>
    public string? ApiKey { get; init; }

    /// <summary>How the credential is sent: <c>Authorization: Bearer</c>, Azure's <c>api-key</c>, or not at all. Key <c>auth</c>.</summary>
    public BackendAuth Auth { get; init; }

    /// <summary>Headers sent with every request, over the client's of the same name; a value may be <c>env:NAME</c>. Key <c>headers</c>.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Query parameters added to every request, a map, or a text that is escaped already (<c>api-version=…</c>). Key <c>query</c>.</summary>
    public string Query { get; init; } = "";

    /// <summary>Share of the traffic relative to the other backends; 0 is drained: no new requests. 0 to 1,000,000, default 1. Key <c>weight</c>.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Requests at the same time, over all instances. 1 to 1,000,000, default 100, or 50 in family B. Key <c>max_connections</c>.</summary>
    public int MaxConnections { get; init; } = 100;

    /// <summary>Lower is better; a worse group is used only when no backend of a better one can take the request. −1,000,000 to 1,000,000, default 0. Key <c>priority</c>.</summary>
    public int Priority { get; init; }

    /// <summary>Labels; a request with <c>X-Backend-Tags: a,b</c> goes only where both are. Key <c>tags</c>.</summary>
    public FrozenSet<string> Tags { get; init; } = FrozenSet<string>.Empty;

    /// <summary>The one model that this backend serves, under whatever name the client asks for it. Key <c>model_name</c>.</summary>
    public string? ModelName { get; init; }

    /// <summary>Models that it serves: a list of names, or a map of requested name to its own name; with none, any. Key <c>models</c>.</summary>
    public FrozenDictionary<string, string> Models { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Default for <c>max_tokens</c> where a request names none; unset, the request is left alone. Key <c>max_tokens</c>.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Default for <c>temperature</c> where a request names none; unset, the request is left alone. Key <c>temperature</c>.</summary>
    public double? Temperature { get; init; }

    /// <summary>Whether it takes requests; false stays so whatever the probes say. Key <c>enabled</c>, default true.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>True: no new requests, by a change at run time; its weight waits for the end of it. Not a key of the configuration.</summary>
    public bool Draining { get; init; }

    /// <summary>What a probe asks for, relative to the base URL (or to the host, when it begins with <c>/</c>). Key <c>health_path</c>, default <c>models</c>.</summary>
    public string HealthPath { get; init; } = "models";

    /// <summary>Whether the backend can go on with a half-finished answer (<c>stream_recovery: continue</c>), as vLLM does it or as DeepSeek and Mistral do; one of them can be true. Keys <c>continue_final_message</c> and <c>prefix</c>.</summary>
    public ContinuationForm Continuation { get; init; }

    /// <summary>Longest wait for an answer: its headers, and the whole of an answer that is not a stream. Key <c>timeout</c>, seconds, default 60, or 30 in family B.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for a connection. Key <c>connect_timeout</c>, seconds, default 5.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest wait for a stream's first event while another backend could take over. Key <c>ttft_timeout</c>, seconds, default 10.</summary>
    public TimeSpan FirstTokenTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest silence inside a stream. Key <c>stream_idle_timeout</c>, seconds, default 30.</summary>
    public TimeSpan StreamIdleTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether this backend serves <paramref name="model"/>; a request without a model is served by any.</summary>
    public bool Serves(string? model) => model is null || ModelName is not null || Models.Count == 0 || Models.ContainsKey(model);

    /// <summary>The name under which this backend knows <paramref name="model"/>; equal to it when nothing is to be rewritten.</summary>
    public string? NameOf(string? model) =>
        model is null ? null : ModelName ?? (Models.TryGetValue(model, out var own) ? own : model);

    /// <summary>The name alone, so that a key cannot slip into a log through formatting.</summary>
    public override string ToString() => Name;

    /// <summary>Whether this backend carries every one of <paramref name="tags"/>.</summary>
    public bool HasAll(ReadOnlySpan<string> tags)
    {
        foreach (var tag in tags)
        {
            if (!Tags.Contains(tag))
            {
                return false;
            }
        }

        return true;
    }
}
