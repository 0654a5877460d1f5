using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Balancers of the client library for tests in a line.</summary>
internal static class Balancers
{
    /// <summary>Over <paramref name="upstreams"/>, named <c>a</c>, <c>b</c>, …; without probes, so that upstreams see only requests.</summary>
    public static LoadBalancer Over(params ScriptedUpstream[] upstreams) => new(EndpointsOf(upstreams), enableHealthCheck: false);

    public static LoadBalancer Over(LoadBalancerSettings settings, params ScriptedUpstream[] upstreams) => new(EndpointsOf(upstreams), settings);

    public static Endpoint[] EndpointsOf(params ScriptedUpstream[] upstreams) =>
        [.. upstreams.Select((upstream, index) => new Endpoint(upstream.BaseUrl.AbsoluteUri) { Name = ((char)('a' + index)).ToString() })];

    /// <summary>An upstream that refuses connections, on a port that nobody else gets.</summary>
    public static async Task<ScriptedUpstream> DeadAsync()
    {
        var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await upstream.StopAcceptingAsync();
        return upstream;
    }

    /// <summary>Everything that a stream gives out.</summary>
    public static async Task<List<ChatDelta>> CollectAsync(IAsyncEnumerable<ChatDelta> stream)
    {
        var deltas = new List<ChatDelta>();
        await foreach (var delta in stream.WithCancellation(TestContext.Current.CancellationToken))
        {
            deltas.Add(delta);
        }

        return deltas;
    }
}
