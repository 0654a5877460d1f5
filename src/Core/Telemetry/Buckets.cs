using System.Collections.Immutable;

namespace Roadbalancer.Telemetry;

/// <summary>Bucket bounds as OpenTelemetry's semantic conventions advise them: «Generative AI metrics», «Database metrics».</summary>
internal static class Buckets
{
    /// <summary>Seconds of a whole operation: <c>gen_ai.server.request.duration</c>.</summary>
    public static readonly ImmutableArray<double> Duration = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

    /// <summary>Seconds to a first token: <c>gen_ai.server.time_to_first_token</c>.</summary>
    public static readonly ImmutableArray<double> FirstToken =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    /// <summary>Seconds between tokens: <c>gen_ai.server.time_per_output_token</c>.</summary>
    public static readonly ImmutableArray<double> OutputToken = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];

    /// <summary>Tokens: <c>gen_ai.client.token.usage</c>.</summary>
    public static readonly ImmutableArray<double> Tokens =
        [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    /// <summary>Seconds of a call to a database: <c>db.client.operation.duration</c>; also of waits and probes, which last as long.</summary>
    public static readonly ImmutableArray<double> Call = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
}
