using Roadbalancer.Options;

namespace Roadbalancer.Functions.Hosted;

/// <summary>Makes the program a custom handler of the Functions host, where one has started it.</summary>
internal static class HostedSetup
{
    /// <param name="limits">What the host puts up with; null without a host.</param>
    public static void AddFunctions(this IServiceCollection services, HostLimits? limits)
    {
        if (limits is not null)
        {
            services.AddSingleton<SettleTimer>();
            services.AddSingleton<HostCalls>();
            services.AddSingleton<WarmUp>();
            services.AddSingleton(provider => new ProxiedRequests(FunctionsHost.CutoffOf(limits), provider.GetRequiredService<TimeProvider>()));
        }
    }

    /// <summary>Before everything else that answers requests.</summary>
    public static void UseFunctions(this WebApplication app)
    {
        if (app.Services.GetService<ProxiedRequests>() is { } requests)
        {
            var calls = app.Services.GetRequiredService<HostCalls>();
            app.Use(next => http => requests.InvokeAsync(http, next));
            app.Use(next => http => calls.InvokeAsync(http, next));
            app.Lifetime.ApplicationStarted.Register(() => app.Services.GetRequiredService<WarmUp>().Begin());
        }
    }
}
