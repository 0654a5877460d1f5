using System.Collections.Immutable;
using Roadbalancer.Backends;
using Roadbalancer.Options;

namespace Roadbalancer.Simulation;

/// <summary>The three backends of <c>--demo</c>: one fast, one slow, one that fails a quarter of its requests.</summary>
internal sealed class Demo : IAsyncDisposable
{
    /// <summary>The model that all three serve.</summary>
    public const string Model = "demo-model";

    private Demo(ImmutableArray<RunningSimulation> simulations)
    {
        Simulations = simulations;
        Options = new BalancerOptions { Backends = [.. simulations.Select(simulation => new Backend { Name = simulation.Profile.Name, BaseUrl = simulation.BaseUrl })] };
    }

    public static ImmutableArray<SimulatedBackend> Profiles { get; } =
    [
        new() { Name = "fast", FirstTokenDelay = TimeSpan.FromMilliseconds(150), TokensPerSecond = 80, Models = [Model], Seed = 1 },
        new() { Name = "slow", FirstTokenDelay = TimeSpan.FromMilliseconds(900), TokensPerSecond = 25, Models = [Model], Seed = 2 },
        new() { Name = "flaky", FirstTokenDelay = TimeSpan.FromMilliseconds(250), TokensPerSecond = 60, FailureRatio = 0.25, Models = [Model], Seed = 3 },
    ];

    /// <summary>In the order of <see cref="Profiles"/>.</summary>
    public ImmutableArray<RunningSimulation> Simulations { get; }

    /// <summary>Options with the three backends under their profiles' names and everything else at its default.</summary>
    public BalancerOptions Options { get; }

    /// <summary>Starts all three.</summary>
    /// <param name="ports">One for each profile, in order; 0, or none given, for any free one.</param>
    /// <exception cref="IOException">A port is taken; none is left running.</exception>
    public static async Task<Demo> StartAsync(TimeProvider time, IReadOnlyList<int> ports, CancellationToken cancellationToken) =>
        new(await StartAllAsync(Profiles.Select((profile, index) => profile with { Port = index < ports.Count ? ports[index] : 0 }), time, cancellationToken));

    /// <summary>Starts every profile, or none.</summary>
    internal static async Task<ImmutableArray<RunningSimulation>> StartAllAsync(IEnumerable<SimulatedBackend> profiles, TimeProvider time, CancellationToken cancellationToken)
    {
        var running = new List<RunningSimulation>();
        try
        {
            foreach (var profile in profiles)
            {
                running.Add(await SimulatedBackend.StartAsync(profile, time, cancellationToken));
            }

            return [.. running];
        }
        catch
        {
            foreach (var simulation in running)
            {
                await simulation.DisposeAsync();
            }

            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var simulation in Simulations)
        {
            await simulation.DisposeAsync();
        }
    }
}
