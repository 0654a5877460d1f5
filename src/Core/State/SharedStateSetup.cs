using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Redis;
using Roadbalancer.Strategies;

namespace Roadbalancer.State;

/// <summary>Chooses where state is kept: in memory, or in the Redis that <c>REDIS_CONNECTION</c> names with memory behind it.</summary>
internal static class SharedStateSetup
{
    public static void AddBalancerState(this IServiceCollection services, BalancerOptions options)
    {
        services.AddSingleton<InMemoryState>();
        services.AddSingleton(provider => new PoolSync(
            provider.GetRequiredService<PoolSource>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<PoolSync>>(), provider.GetService<RedisState>()));
        services.AddSingleton(provider => new StateReset(provider.GetRequiredService<InMemoryState>(), provider.GetService<RedisState>()));
        if (options.Redis is not { } address || options.Mode == BalancingMode.SingleBackend)
        {
            services.AddSingleton(new ProbeTurn(null));
            services.AddSingleton<IBalancerState>(provider => provider.GetRequiredService<InMemoryState>());
            return;
        }

        services.AddSingleton(provider => new RedisLink(
            address, options.RedisTimeout, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<RedisLink>>())
        {
            Called = provider.GetRequiredService<BalancerMetrics>().RedisCalled,
        });
        services.AddSingleton(provider => new RedisState(
            provider.GetRequiredService<RedisLink>(), options.RedisKeyPrefix, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<Chance>()));
        services.AddSingleton(provider => new ProbeTurn(provider.GetRequiredService<RedisState>()));
        if (options.Consistency == Consistency.Relaxed)
        {
            services.AddSingleton<RelaxedState>();
            services.AddSingleton<IBalancerState>(provider => provider.GetRequiredService<RelaxedState>());
            services.AddHostedService(provider => provider.GetRequiredService<RelaxedState>());
        }
        else
        {
            services.AddSingleton<FallbackState>();
            services.AddSingleton<IBalancerState>(provider => provider.GetRequiredService<FallbackState>());
            services.AddHostedService(provider => provider.GetRequiredService<FallbackState>());
        }

        services.AddHostedService(provider => provider.GetRequiredService<PoolSync>());
    }

    /// <summary>Has <paramref name="listener"/> told of every change of a backend's standing, whichever store decides.</summary>
    public static void ReportChanges(this IServiceProvider services, Action<StateChange> listener)
    {
        switch (services.GetRequiredService<IBalancerState>())
        {
            case FallbackState fallback:
                fallback.Changed += listener;
                break;
            case RelaxedState relaxed:
                relaxed.Changed += listener;
                break;
            case InMemoryState memory:
                memory.Changed += listener;
                break;
        }
    }

    /// <summary>Asks whether memory decides, without the others, though there is a shared store; null where there is none.</summary>
    public static Func<bool>? FallenBack(this IServiceProvider services) => services.GetRequiredService<IBalancerState>() switch
    {
        FallbackState fallback => () => fallback.IsFallenBack,
        RelaxedState relaxed => () => relaxed.IsFallenBack,
        _ => null,
    };

    /// <summary>With <c>redis_required</c>, why Redis cannot be reached; null when it can, or need not be.</summary>
    public static async Task<string?> CheckRedisAsync(this IServiceProvider services, BalancerOptions options) =>
        options.RedisRequired && services.GetService<RedisLink>() is { } link && await link.ConnectAsync() is { } reason
            ? $"Redis at {options.Redis} is required (redis_required: true) and cannot be used: {reason}"
            : null;
}
