using System.Collections.Immutable;

namespace Roadbalancer.Simulation;

/// <summary>What a simulated LLM backend is like; <see cref="StartAsync"/> brings it to life. Serves <c>--demo</c>, <c>--simulate</c>, tests and benchmarks.</summary>
internal sealed record SimulatedBackend
{
    /// <summary>Shown in answers as <c>system_fingerprint</c> and in ids, so that one can tell who answered.</summary>
    public string Name { get; init; } = "simulated";

    /// <summary>Port on 127.0.0.1; 0, the default, for any free one.</summary>
    public int Port { get; init; }

    /// <summary>From the request to the first token. Default 0.</summary>
    public TimeSpan FirstTokenDelay { get; init; }

    /// <summary>Pace of the tokens (words) after that; 0, the default, is as fast as they can be written.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Share of generating requests that fail, half of them with a 500 and half with a stream that is cut; 0 to 1, default 0.</summary>
    public double FailureRatio { get; init; }

    /// <summary>Models served; empty, the default: any name, and the list shows <c>simulated-model</c>.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>Seed of the <see cref="Strategies.Chance"/> behind <see cref="FailureRatio"/>. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Starts a Kestrel of its own on the loopback.</summary>
    /// <exception cref="IOException">The port is taken.</exception>
    public static Task<RunningSimulation> StartAsync(SimulatedBackend profile, TimeProvider time, CancellationToken cancellationToken) =>
        RunningSimulation.StartAsync(profile, time, cancellationToken);
}
