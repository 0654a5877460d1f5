using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>What the balancer has counted, once it has counted everything.</summary>
internal static class Books
{
    /// <summary>A client has its last byte a moment before its attempt is settled: the state once nothing is in flight.</summary>
    public static async Task<PoolSnapshot> SettledAsync(this BalancerHost host)
    {
        PoolSnapshot? snapshot = null;
        await Await.Until(() => (snapshot = Read(host)).Backends.All(backend => backend.Vitals.InFlight == 0), "nothing is in flight");
        return snapshot!;
    }

    /// <summary>How often attempts at <paramref name="backend"/> ended so.</summary>
    public static long Count(this PoolSnapshot snapshot, string backend, OutcomeKind kind) => snapshot.For(backend).Totals.ByKind[(int)kind];

    private static PoolSnapshot Read(BalancerHost host)
    {
        var reading = host.ReadAsync();
        Assert.True(reading.IsCompletedSuccessfully, "The state in memory answers at once.");
        return reading.GetAwaiter().GetResult();
    }
}
