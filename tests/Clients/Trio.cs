using System.Collections.Frozen;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Clients;

/// <summary>The balancer with a client key over three simulated backends, one of which is dead: what each client test talks to.</summary>
public sealed class Trio : IAsyncLifetime
{
    public const string Model = "demo";
    public const string Key = "client-key";

    /// <summary>How every simulated answer to «Good morning» begins and ends.</summary>
    public const string TextStart = "You said: Good morning ... A load balancer";
    public const string TextEnd = "nobody notices that anything was wrong.";

    private readonly List<RunningSimulation> _simulations = [];
    private BalancerHost _host = null!;

    public Uri BaseUrl => new(_host.Url, "/v1");

    public async ValueTask InitializeAsync()
    {
        foreach (var name in (string[])["a", "dead", "c"])
        {
            _simulations.Add(await SimulatedBackend.StartAsync(new SimulatedBackend { Name = name, Models = [Model] }, TimeProvider.System, CancellationToken.None));
        }

        // Told which models there are, the balancer can say that one is unknown whoever is dead.
        var models = new Dictionary<string, string> { [Model] = Model }.ToFrozenDictionary(StringComparer.Ordinal);
        var backends = _simulations.Select(simulation => new Backend { Name = simulation.Profile.Name, BaseUrl = simulation.BaseUrl, Models = models }).ToArray();
        await _simulations[1].DisposeAsync();
        _host = await BalancerHost.StartAsync(new BalancerOptions
        {
            Backends = [.. backends],
            ClientKeys = [new ClientKey("tests", Key)],
            HealthCheckEnabled = false,
            // The dead one stays in the rotation, so that every few requests meet it.
            FailureThreshold = 1_000,
            FailureRatio = 1,
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        foreach (var simulation in _simulations)
        {
            await simulation.DisposeAsync();
        }
    }
}
