using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Keys;

/// <summary>Registers what client keys need: books in memory, or in the Redis that the balancer's state is in.</summary>
internal static class KeysSetup
{
    public static void AddClientKeys(this IServiceCollection services, BalancerOptions options)
    {
        services.AddSingleton<InMemoryKeyBooks>();
        services.AddSingleton<KeyGate>();
        if (options.Redis is null || options.Mode == BalancingMode.SingleBackend)
        {
            services.AddSingleton<IKeyBooks>(provider => provider.GetRequiredService<InMemoryKeyBooks>());
            services.AddSingleton(provider => new KeyUsage(provider.GetRequiredService<TimeProvider>()));
            return;
        }

        services.AddSingleton(provider => new RedisKeyBooks(
            provider.GetRequiredService<RedisLink>(), options.RedisKeyPrefix, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<Chance>()));
        services.AddSingleton<IKeyBooks>(provider => new FallbackKeyBooks(
            provider.GetRequiredService<RedisKeyBooks>(), provider.GetRequiredService<InMemoryKeyBooks>(),
            provider.FallenBack()!, provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<FallbackKeyBooks>>()));
        services.AddSingleton(provider => new RedisKeyBase(provider.GetRequiredService<RedisLink>(), options.RedisKeyPrefix, Pool.DefaultName));
        services.AddSingleton(provider => new KeyUsage(
            provider.GetRequiredService<TimeProvider>(),
            new RedisKeyCounts(provider.GetRequiredService<RedisLink>(), options.RedisKeyPrefix, Pool.DefaultName, provider.GetRequiredService<Chance>())));
        services.AddHostedService(provider => provider.GetRequiredService<KeyUsage>());
    }
}
