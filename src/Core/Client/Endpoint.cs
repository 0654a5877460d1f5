using Roadbalancer.Client;
using Roadbalancer.Options;

namespace Roadbalancer;

/// <summary>How an endpoint wants its key: key <c>auth</c> of the configuration.</summary>
public enum EndpointAuth
{
    /// <summary><c>Authorization: Bearer KEY</c>, the default.</summary>
    Bearer,

    /// <summary><c>api-key: KEY</c>, as Azure OpenAI wants it.</summary>
    ApiKey,

    /// <summary>No credentials are sent.</summary>
    None,
}

/// <summary>How an endpoint goes on with a half-finished answer; used with <see cref="StreamRecoveryMode.Continue"/>.</summary>
public enum EndpointContinuation
{
    /// <summary>It cannot, the default; it is never asked.</summary>
    None,

    /// <summary><c>continue_final_message: true</c> beside the messages, as vLLM has it: key <c>continue_final_message</c>.</summary>
    ContinueFinalMessage,

    /// <summary><c>prefix: true</c> on the last message, as DeepSeek and Mistral have it: key <c>prefix</c>.</summary>
    Prefix,
}

/// <summary>
/// One OpenAI-compatible endpoint as the program describes it. What is null takes the configuration's default. Values are checked when the endpoint
/// is given to a <see cref="LoadBalancer"/>, all at once.
/// </summary>
/// <remarks>In a web project ASP.NET Core has an <c>Endpoint</c> too; there, <c>new("http://…")</c> in the list of endpoints needs no name.</remarks>
public sealed class Endpoint
{
    /// <summary>Describes the endpoint at <paramref name="url"/>.</summary>
    /// <param name="url">The base URL, <c>http</c> or <c>https</c>. Without a path it gets <c>/v1</c>; any other path is taken as written. Key <c>url</c>.</param>
    /// <exception cref="ArgumentException"><paramref name="url"/> is null or blank.</exception>
    public Endpoint(string url)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(url);
        Url = url;
    }

    /// <summary>The base URL as it was given. Key <c>url</c>.</summary>
    public string Url { get; }

    /// <summary>Shown in results and statistics; unique in a balancer. 1 to 64 printable ASCII characters without spaces, commas, quotes and slashes. Default: the URL's host and port. Key <c>name</c>.</summary>
    public string? Name { get; init; }

    /// <summary>The endpoint's key; <c>env:NAME</c> reads an environment variable. Default none. Never logged. Key <c>api_key</c>.</summary>
    public string? ApiKey { get; init; }

    /// <summary>How the key is sent. Default <see cref="EndpointAuth.Bearer"/>. Key <c>auth</c>.</summary>
    public EndpointAuth Auth { get; init; }

    /// <summary>Headers sent with every request, over the caller's of the same name. Default none. Key <c>headers</c>.</summary>
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    /// <summary>Query parameters added to every request, such as <c>api-version=2024-10-21</c>. Default none. Key <c>query</c>.</summary>
    public string? Query { get; init; }

    /// <summary>Share of the traffic relative to the other endpoints; 0 is drained: no new requests. 0 to 1,000,000, default 1. Key <c>weight</c>.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Requests at the same time, over all processes that share state. 1 to 1,000,000, default 100. Key <c>max_connections</c>.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>Lower is better: a worse group is used only when no endpoint of a better one can take the request. −1,000,000 to 1,000,000, default 0. Key <c>priority</c>.</summary>
    public int Priority { get; init; }

    /// <summary>Labels that a request can ask for; see <see cref="ChatExtras.Tags"/>. Default none. Key <c>tags</c>.</summary>
    public IReadOnlyCollection<string>? Tags { get; init; }

    /// <summary>The one model that this endpoint serves, under whatever name a request asks for it. Default none. Key <c>model_name</c>.</summary>
    public string? ModelName { get; init; }

    /// <summary>The models that this endpoint serves: the name that requests use, and the endpoint's own. Default null: any model. Key <c>models</c>.</summary>
    public IReadOnlyDictionary<string, string>? Models { get; init; }

    /// <summary>Default for <c>max_tokens</c> where a request names none. 1 to 100,000,000; null leaves the request alone. Key <c>max_tokens</c>.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Default for <c>temperature</c> where a request names none. 0 to 2; null leaves the request alone. Key <c>temperature</c>.</summary>
    public double? Temperature { get; init; }

    /// <summary>False: gets no requests, whatever the health checks say. Default true. Key <c>enabled</c>.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>What a health check asks for, relative to the base URL, or to the host when it begins with <c>/</c>. Default <c>models</c>. Key <c>health_path</c>.</summary>
    public string? HealthPath { get; init; }

    /// <summary>How it goes on with a half-finished answer. Default <see cref="EndpointContinuation.None"/>. Keys <c>continue_final_message</c> and <c>prefix</c>.</summary>
    public EndpointContinuation Continuation { get; init; }

    /// <summary>Longest wait for an answer's headers, and for the whole of an answer that is not a stream. 1 ms to 1 day, default 60 s or <see cref="LoadBalancerSettings.Timeout"/>. Key <c>timeout</c>, seconds.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Longest wait for a connection. 1 ms to 1 day, default 5 s. Key <c>connect_timeout</c>, seconds.</summary>
    public TimeSpan? ConnectTimeout { get; init; }

    /// <summary>Longest wait for a stream's first event while another endpoint could take over. 1 ms to 1 day, default 10 s. Key <c>ttft_timeout</c>, seconds.</summary>
    public TimeSpan? FirstTokenTimeout { get; init; }

    /// <summary>Longest silence inside a stream. 1 ms to 1 day, default 30 s. Key <c>stream_idle_timeout</c>, seconds.</summary>
    public TimeSpan? StreamIdleTimeout { get; init; }

    /// <summary>The name or the URL's host, and nothing secret.</summary>
    /// <returns>The name, else the host and port; the text <c>endpoint</c> when the URL is none.</returns>
    public override string ToString() => Name ?? (Uri.TryCreate(Url, UriKind.Absolute, out var uri) ? uri.Authority : "endpoint");

    /// <summary>The same as a backend in a configuration file, so that it is read, checked and reported like one.</summary>
    /// <param name="alone">It is read without the others, where a weight of 0 would leave nothing to balance over.</param>
    internal SettingNode ToNode(bool alone = false) => new SettingMap()
        .Add("url", Url)
        .Add("name", Name)
        .Add("api_key", ApiKey)
        .Add("auth", Auth switch
        {
            EndpointAuth.Bearer => "bearer",
            EndpointAuth.ApiKey => "api-key",
            EndpointAuth.None => "none",
            _ => Auth.ToString(),
        })
        .Add("headers", Headers)
        .Add("query", Query)
        .Add("weight", alone && Weight == 0 ? 1 : Weight)
        .Add("max_connections", MaxConnections)
        .Add("priority", Priority)
        .Add("tags", Tags)
        .Add("model_name", ModelName)
        .Add("models", Models)
        .Add("max_tokens", MaxTokens)
        .Add("temperature", Temperature)
        .Add("enabled", Enabled)
        .Add("health_path", HealthPath)
        .Add("continue_final_message", Continuation == EndpointContinuation.ContinueFinalMessage)
        .Add("prefix", Continuation == EndpointContinuation.Prefix)
        .Add("timeout", Timeout)
        .Add("connect_timeout", ConnectTimeout)
        .Add("ttft_timeout", FirstTokenTimeout)
        .Add("stream_idle_timeout", StreamIdleTimeout)
        .ToNode();
}
