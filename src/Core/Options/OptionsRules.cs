using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>The rules between settings, and the mode that follows from all of them.</summary>
internal static class OptionsRules
{
    /// <summary>What is said when there is nothing to balance over: the shortest settings that work.</summary>
    public const string NoBackend = """
        no backend is configured. One of these is enough:
            LLM_BACKENDS='[{"url":"http://localhost:8000"}]'
            LLM_ENDPOINTS=http://localhost:8000
        or start with --demo to see it balance three simulated backends.
        """;

    /// <summary>Well below what the platform, and what stands before it, puts up with; an answer that fails sooner still has a status of its own.</summary>
    private static readonly TimeSpan KeepAliveBehindAPlatform = TimeSpan.FromSeconds(30);

    public static BalancerOptions Complete(
        OptionsDraft draft, BackendSource? source, ImmutableArray<Backend> backends, HostOptions host, bool fileIsBroken, Binding binding)
    {
        var options = draft.Options;
        if (options.CooldownMax < options.Cooldown)
        {
            binding.Add(new("cooldown_max", Seconds(options.CooldownMax), $"must not be less than cooldown ({Seconds(options.Cooldown)})"));
        }

        foreach (var admin in options.AdminKeys)
        {
            if (options.ClientKeys.FirstOrDefault(client => client.Hash == admin.Hash) is { } same)
            {
                binding.Add(new("admin_keys", null, $"the key {admin.Name} has the same secret as {same.Name} of api_keys, whose clients could manage the balancer; one of them needs another secret"));
            }
        }

        if (backends.IsEmpty && source is null or { Drafts.Count: 0 } && !fileIsBroken)
        {
            binding.Add(new("backends", null, NoBackend));
        }

        var mode = ModeOf(draft.LoadBalanceEnabled, source, backends.Length);
        if (mode == BalancingMode.SingleBackend && backends.Length > 1)
        {
            binding.Warn($"balancing is switched off: only {backends[0].Name} is used, the other {backends.Length - 1} are ignored");
            backends = backends[..1];
        }

        if (!backends.IsEmpty && backends.All(backend => backend.Weight == 0))
        {
            var key = source?.Origin == Families.Endpoints ? "LLM_WEIGHTS" : $"{source?.Origin ?? "endpoints"}[].weight";
            binding.Add(new(key, "'0'", "at least one backend needs a weight above 0, or nothing can be served"));
        }

        Warn(host, options, backends, binding);
        return Within(host.Limits, options, binding) with
        {
            Backends = backends,
            Mode = mode,
            BehindFunctionsHost = host.BehindFunctionsHost,
            BackendDefaults = new(draft.Times, source?.Defaults ?? FamilyDefaults.A),
        };
    }

    /// <summary>
    /// <c>LOAD_BALANCE_ENABLED</c> decides; unset, everything is balanced but the one backend of <c>VLLM_SERVER_URL</c>: a list with one
    /// entry, of either family, still asks for its retries and health checks.
    /// </summary>
    private static BalancingMode ModeOf(bool? enabled, BackendSource? source, int count) => enabled switch
    {
        false => BalancingMode.SingleBackend,
        _ when count > 1 => BalancingMode.Balanced,
        true => BalancingMode.SingleBackendBalanced,
        null => source?.Origin == Families.SingleUrl ? BalancingMode.SingleBackend : BalancingMode.SingleBackendBalanced,
    };

    private static BalancerOptions Within(HostLimits? limits, BalancerOptions options, Binding binding)
    {
        if (limits is null)
        {
            return options;
        }

        if (limits.LongestRequest is { } longest && options.TotalTimeout > longest)
        {
            binding.Warn($"total_timeout is {Seconds(longest)} instead of {Seconds(options.TotalTimeout)}: the Functions host restarts the program over a request that outlasts functionTimeout (host.json)");
            options = options with { TotalTimeout = longest };
        }

        var keepAlive = options.StreamKeepAlive ?? KeepAliveBehindAPlatform;
        return options with
        {
            LongestSilence = limits.LongestSilence,
            StreamKeepAlive = keepAlive < limits.LongestSilence ? keepAlive : limits.LongestSilence,
        };
    }

    private static void Warn(HostOptions host, BalancerOptions options, ImmutableArray<Backend> backends, Binding binding)
    {
        if (options.ClientKeys.IsEmpty && (host.BehindFunctionsHost || host.ListenUrls.Any(url => !Listening.IsLoopback(url))))
        {
            binding.Warn("anyone who can reach this address can use the backends and their keys; set ROADBALANCER_API_KEYS");
        }

        if (!backends.IsEmpty && backends.All(backend => !backend.Enabled))
        {
            binding.Warn("every backend is disabled (enabled: false)");
        }
    }

    private static string Seconds(TimeSpan time) => time.TotalSeconds.ToString("0.###", System.Globalization.CultureInfo.InvariantCulture);
}
