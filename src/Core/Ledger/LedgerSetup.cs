using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Ledger;

/// <summary>Registers what reads and settles the ledger, and the file ledger of a process alone.</summary>
internal static class LedgerSetup
{
    /// <summary>Statistics that outlast a process, the settlement for whoever has a ledger, and with Redis what settlements left there.</summary>
    public static void AddLifetimeTotals(this IServiceCollection services, BalancerOptions options)
    {
        services.AddSingleton<Accounts>();
        services.AddSingleton(provider => new Counters(
            provider.GetRequiredService<InMemoryState>(), provider.GetRequiredService<Accounts>(), provider.GetService<RedisState>()));
        services.AddSingleton(provider => new LifetimeTotals(
            provider.GetRequiredService<IBalancerState>(), provider.GetRequiredService<Accounts>(), provider.GetRequiredService<TimeProvider>(), provider.GetService<RedisState>()));
        services.AddSingleton(provider => new History(
            provider.GetRequiredService<Counters>(), provider.GetRequiredService<Accounts>(), provider.GetRequiredService<PoolSource>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => new KeyAccounts(
            provider.GetRequiredService<PoolSource>(), provider.GetRequiredService<TimeProvider>(), provider.GetService<RedisKeyBase>()));
        services.AddSingleton<KeyTotals>();
        services.AddSingleton<KeyHistory>();
        services.AddSingleton<KeySettlement>();
        services.AddSingleton(provider => new Settlement(
            provider.GetRequiredService<PoolSource>(), provider.GetRequiredService<PoolSync>(), provider.GetRequiredService<Counters>(), provider.GetRequiredService<Accounts>(),
            provider.GetRequiredService<TimeProvider>())
        {
            Keys = provider.GetRequiredService<KeySettlement>(),
        });
        if (options.Redis is not null && options.Mode != BalancingMode.SingleBackend)
        {
            services.AddSingleton(provider => new Rehydration(
                provider.GetRequiredService<Redis.RedisLink>(), provider.GetRequiredService<PoolSync>(), provider.GetRequiredService<LifetimeTotals>(), provider.GetRequiredService<PoolSource>(),
                provider.GetRequiredService<TimeProvider>())
            {
                Keys = provider.GetRequiredService<KeyAccounts>(),
            });
            services.AddHostedService(provider => provider.GetRequiredService<Rehydration>());
        }
    }

    /// <summary>
    /// A process's own ledger: in <see cref="HostOptions.DataFolder"/>, or in memory when that is null. None under the Functions host, whose timer settles. To come before <see cref="ServerSetup.AddRoadbalancer"/>, so that it is read first and settled last.
    /// </summary>
    public static void AddOwnLedger(this IServiceCollection services, HostOptions host)
    {
        if (!host.BehindFunctionsHost)
        {
            services.AddHostedService(provider => new SettleLoop(
                () => host.DataFolder is not { } folder ? null : FileLedger.Open(folder, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<FileLedger>>()),
                provider.GetRequiredService<Settlement>(), provider.GetRequiredService<PoolSync>(), provider.GetRequiredService<PoolSource>(),
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<SettleLoop>>()));
        }
    }
}
