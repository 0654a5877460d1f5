using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Roadbalancer.Simulation;

/// <summary>A simulated backend that is listening; disposing it cuts what is in flight and frees the port.</summary>
internal sealed class RunningSimulation : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly SimulatedApi _api;

    private RunningSimulation(SimulatedBackend profile, WebApplication server, SimulatedApi api)
    {
        _server = server;
        _api = api;
        Profile = profile;
        BaseUrl = new Uri(new Uri(server.Urls.Single()), "/v1");
    }

    /// <summary>What it was started with.</summary>
    public SimulatedBackend Profile { get; }

    /// <summary><c>http://127.0.0.1:PORT/v1</c></summary>
    public Uri BaseUrl { get; }

    /// <summary>Requests so far, of every kind.</summary>
    public long RequestCount => _api.RequestCount;

    /// <summary>Requests that are being answered now.</summary>
    public int InFlight => _api.InFlight;

    /// <inheritdoc cref="SimulatedBackend.StartAsync"/>
    internal static async Task<RunningSimulation> StartAsync(SimulatedBackend profile, TimeProvider time, CancellationToken cancellationToken)
    {
        var api = new SimulatedApi(profile, time);
        var server = Build(profile.Port);
        server.Run(api.HandleAsync);
        try
        {
            await server.StartAsync(cancellationToken);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        return new(profile, server, api);
    }

    public async ValueTask DisposeAsync()
    {
        // A token that is already cancelled: connections are cut, not waited for.
        await _server.StopAsync(new CancellationToken(canceled: true));
        await _server.DisposeAsync();
    }

    private static WebApplication Build(int port)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddSingleton<IHostLifetime, OwnerDecides>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
        });

        // With room for no more than one byte a flush returns only when the socket has all of them: «cut after five tokens» then means
        // five tokens at the client. (0 would mean no limit.)
        builder.WebHost.UseSockets(sockets => sockets.MaxWriteBufferSize = 1);
        return builder.Build();
    }

    /// <summary>Signals and process exit belong to the program around the simulation.</summary>
    private sealed class OwnerDecides : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
