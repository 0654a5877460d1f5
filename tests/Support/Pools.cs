using Roadbalancer.Backends;
using Roadbalancer.Options;

namespace Roadbalancer.Tests.Support;

/// <summary>Pools for tests in a line.</summary>
internal static class Pools
{
    public static Backend Backend(string name, int weight = 1) => new() { Name = name, BaseUrl = new Uri($"http://{name}.test/v1"), Weight = weight };

    /// <summary>Backends a, b, c … with these weights.</summary>
    public static Pool Of(string strategy, params int[] weights) =>
        Of(new BalancerOptions { Strategy = strategy }, [.. weights.Select((weight, index) => Backend($"{(char)('a' + index)}", weight))]);

    public static Pool Of(params Backend[] backends) => Of(new BalancerOptions(), backends);

    public static Pool Of(BalancerOptions options, params Backend[] backends) => new(options with { Backends = [.. backends] }, version: 1);
}
