using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Roadbalancer;

/// <summary>Registers the balancer with a program's services.</summary>
public static class RoadbalancerServiceCollectionExtensions
{
    /// <summary>The name under which <see cref="IHttpClientFactory"/> makes clients that balance.</summary>
    public const string HttpClientName = "Roadbalancer";

    /// <summary>
    /// Registers one <see cref="LoadBalancer"/>, an <see cref="HttpMessageHandler"/> that balances, and a named <see cref="HttpClient"/>
    /// (<see cref="HttpClientName"/>) on it.
    /// </summary>
    /// <param name="services">The program's services.</param>
    /// <param name="configuration">
    /// The program's configuration, of which the section <c>Roadbalancer</c> has the keys of a configuration file, and the top-level values may be the
    /// variables <c>LLM_ENDPOINTS</c>, <c>LLM_BACKENDS</c> and so on, which win; or a section with those keys. It is read when the balancer is first
    /// needed, at the latest when the host starts.
    /// </param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentNullException">An argument is null. Values that are not valid throw <see cref="ArgumentException"/> when they are read.</exception>
    public static IServiceCollection AddRoadbalancer(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        services.TryAddSingleton(provider =>
            LoadBalancer.FromConfiguration(configuration, provider.GetService<ILoggerFactory>(), provider.GetService<IMeterFactory>()));
        services.TryAddTransient(provider => provider.GetRequiredService<LoadBalancer>().CreateHandler());
        services.AddHttpClient(HttpClientName).ConfigurePrimaryHttpMessageHandler(provider => provider.GetRequiredService<LoadBalancer>().CreateHandler());
        services.AddHostedService<Start>();
        return services;
    }

    /// <summary>Makes the balancer with the host, so that wrong settings stop it there and not at the first request.</summary>
    private sealed class Start(LoadBalancer balancer) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => balancer.StartedAsync(cancellationToken);

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
