using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>The options while they are put together from their sources.</summary>
internal sealed class OptionsDraft
{
    public BalancerOptions Options { get; set; } = new();

    /// <summary>Times that a backend inherits when it has none of its own; null where nothing was written.</summary>
    public BackendTimes Times { get; set; } = new();

    /// <summary>
    /// Whether there is choice, retry and health checking; false: the first backend alone gets everything as it comes. Unset (here null): everything is balanced but the one
    /// backend of <c>VLLM_SERVER_URL</c>. Key <c>load_balance_enabled</c>.
    /// </summary>
    public bool? LoadBalanceEnabled { get; set; }

    /// <summary>The address to listen on; <c>--host</c> and <c>--urls</c> win, and the Functions host's port, which is on the loopback. Key <c>host</c>. Read at start only.</summary>
    public string Host { get; set; } = "127.0.0.1";

    /// <summary>The port to listen on, 0 for a free one; <c>--port</c> and <c>--urls</c> win. Key <c>port</c>. Read at start only.</summary>
    public int Port { get; set; } = 5000;

    /// <summary>The data folder as written; null where nothing was.</summary>
    public string? Data { get; set; }

    public LogFormat LogFormat { get; set; }

    public LogLevel LogLevel { get; set; } = LogLevel.Information;
}

/// <summary>The four times of a backend as far as they were written.</summary>
internal sealed record BackendTimes
{
    /// <summary>Key <c>timeout</c>.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Key <c>connect_timeout</c>.</summary>
    public TimeSpan? Connect { get; init; }

    /// <summary>Key <c>ttft_timeout</c>.</summary>
    public TimeSpan? FirstToken { get; init; }

    /// <summary>Key <c>stream_idle_timeout</c>.</summary>
    public TimeSpan? StreamIdle { get; init; }
}

/// <summary>What differs between the two families where nothing was written.</summary>
/// <param name="Timeout">Default of <c>timeout</c>.</param>
/// <param name="MaxConnections">Default of <c>max_connections</c>.</param>
internal sealed record FamilyDefaults(TimeSpan Timeout, int MaxConnections)
{
    /// <summary>A file and <c>LLM_ENDPOINTS</c>.</summary>
    public static readonly FamilyDefaults A = new(TimeSpan.FromSeconds(60), 100);

    /// <summary><c>LLM_BACKENDS</c> and <c>VLLM_SERVER_URL</c>.</summary>
    public static readonly FamilyDefaults B = new(TimeSpan.FromSeconds(30), 50);
}

/// <summary>Where a backend's unwritten values come from.</summary>
/// <param name="Times">Times written for all backends.</param>
/// <param name="Family">What holds where those are not written either.</param>
internal sealed record BackendDefaults(BackendTimes Times, FamilyDefaults Family)
{
    /// <summary>A file that says nothing.</summary>
    public static readonly BackendDefaults None = new(new(), FamilyDefaults.A);
}

/// <summary>One backend while it is put together.</summary>
/// <param name="place">Where it was written.</param>
internal sealed class BackendDraft(SettingReader place)
{
    private static readonly Uri NoUrl = new("http://none");

    /// <summary>Where it was written.</summary>
    public SettingReader Place { get; } = place;

    /// <summary>What was written; the name is empty and the URL a stand-in until they are known.</summary>
    public Backend Value { get; set; } = new() { Name = "", BaseUrl = NoUrl };

    public BackendTimes Times { get; set; } = new();

    public int? MaxConnections { get; set; }

    /// <summary>The query that was part of the URL.</summary>
    public string UrlQuery { get; set; } = "";

    public bool HasUrl => Value.BaseUrl != NoUrl;

    /// <summary>The backend under <paramref name="name"/>, with what it did not say taken from <paramref name="inherited"/> and <paramref name="defaults"/>.</summary>
    public Backend Build(string name, BackendTimes inherited, FamilyDefaults defaults) => Value with
    {
        Name = name,
        Query = UrlQuery.Length == 0 || Value.Query.Length == 0 ? UrlQuery + Value.Query : $"{UrlQuery}&{Value.Query}",
        MaxConnections = MaxConnections ?? defaults.MaxConnections,
        Timeout = Times.Timeout ?? inherited.Timeout ?? defaults.Timeout,
        ConnectTimeout = Times.Connect ?? inherited.Connect ?? Value.ConnectTimeout,
        FirstTokenTimeout = Times.FirstToken ?? inherited.FirstToken ?? Value.FirstTokenTimeout,
        StreamIdleTimeout = Times.StreamIdle ?? inherited.StreamIdle ?? Value.StreamIdleTimeout,
    };
}
