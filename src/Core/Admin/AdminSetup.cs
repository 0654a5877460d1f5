using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Admin.Dashboard;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Proxy;
using Roadbalancer.State;

namespace Roadbalancer.Admin;

/// <summary>Registers the management API and the dashboard. Nothing of it but the feed is made before the first call.</summary>
internal static class AdminSetup
{
    public static void AddAdmin(this IServiceCollection services)
    {
        services.AddSingleton<EventFeed>();
        services.AddSingleton<StandingReader>();
        services.AddSingleton(provider => new StatusView(
            provider.GetRequiredService<PoolSource>(), provider.GetRequiredService<Accounts>(), provider.GetRequiredService<WaitQueue>(), provider.GetRequiredService<TimeProvider>(), provider.FallenBack()));
        services.AddSingleton<PoolChanges>();
        services.AddSingleton<HostRules>();
        services.AddSingleton<ReportRoutes>();
        services.AddSingleton<HistoryRoutes>();
        services.AddSingleton<BackendRoutes>();
        services.AddSingleton<ActionRoutes>();
        services.AddSingleton<SettingRoutes>();
        services.AddSingleton<KeyRoutes>();
        services.AddSingleton<StatusTicker>();
        services.AddSingleton<EventRoute>();
        services.AddSingleton<AdminRoutes>();
        services.AddSingleton<AdminAccess>();
        services.AddSingleton<AdminEndpoint>();
        services.AddSingleton<DashboardEndpoint>();
    }
}
