using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace Roadbalancer.Options;

/// <summary>How log lines are written: <c>--log-format</c>.</summary>
internal enum LogFormat
{
    /// <summary>For people, the default.</summary>
    Text,

    /// <summary>One JSON object a line.</summary>
    Json,
}

/// <summary>What is configured about the process rather than about balancing; fixed at start, a reload does not change it.</summary>
internal sealed record HostOptions
{
    /// <summary>
    /// Where to listen, as <c>http://host:port</c>; never empty. <c>--urls</c>, else <c>--host</c>/<c>HOST</c>/<c>host</c> (127.0.0.1) and
    /// <c>--port</c>/<c>PORT</c>/<c>port</c> (5000). Under the Functions host only <c>http://127.0.0.1:FUNCTIONS_CUSTOMHANDLER_PORT</c>.
    /// </summary>
    public required ImmutableArray<string> ListenUrls { get; init; }

    /// <summary>Whether the Azure Functions host started this process, that is whether <c>FUNCTIONS_CUSTOMHANDLER_PORT</c> is set.</summary>
    public bool BehindFunctionsHost { get; init; }

    /// <summary>What the platform in front puts up with; null where there is none.</summary>
    public HostLimits? Limits { get; init; }

    /// <summary>
    /// The folder, one process's alone, of what outlasts this process: statistics and run-time changes, with the keys of backends and the hashes of client keys in them; <c>off</c> (here null)
    /// for none. <c>--demo</c> has none unless it is named; under the Functions host durable entities take its place. Instances that share a Redis have a folder each, and each keeps all of it.
    /// Key <c>data</c>, default <c>data</c> in the working folder. Read at start only.
    /// </summary>
    public string? DataFolder { get; init; }

    /// <summary>Lines for people, or one JSON object a line; <c>--log-format</c> wins. Key <c>log_format</c>, default text. Read at start only.</summary>
    public LogFormat LogFormat { get; init; }

    /// <summary>The least important lines that are written: <c>debug</c> has one for each request; <c>--log-level</c> wins. Key <c>log_level</c>, default information. Read at start only.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;
}

/// <summary>What a platform in front of the program puts up with; requests are ended, in words, before it ends them in its own way.</summary>
/// <param name="LongestRequest">A whole request; null for no limit.</param>
/// <param name="LongestSilence">The time without a byte in either direction.</param>
internal sealed record HostLimits(TimeSpan? LongestRequest, TimeSpan LongestSilence);

/// <summary>What a load came to: options, or every error at once.</summary>
internal sealed record OptionsResult
{
    /// <summary>The options; null when there are errors.</summary>
    public BalancerOptions? Options { get; init; }

    /// <summary>The process's own settings; null when there are errors.</summary>
    public HostOptions? Host { get; init; }

    /// <summary>Everything that is wrong; empty when the options are good.</summary>
    public ImmutableArray<OptionsError> Errors { get; init; } = [];

    /// <summary>What was ignored, and what is allowed but probably not meant.</summary>
    public ImmutableArray<string> Warnings { get; init; } = [];

    /// <summary>The full path of the configuration file in use, readable or not; null when there is none.</summary>
    public string? File { get; init; }

    /// <summary>The full path of the <c>config.yaml</c> that <c>--demo</c> left alone; null when there is none.</summary>
    public string? PassedOver { get; init; }

    /// <summary>What the file held when it was read; empty without a file. May contain secrets.</summary>
    public ReadOnlyMemory<byte> FileContent { get; init; }

    /// <summary>Whether there are options to run with.</summary>
    [MemberNotNullWhen(true, nameof(Options), nameof(Host))]
    public bool IsValid => Options is not null && Host is not null;
}
