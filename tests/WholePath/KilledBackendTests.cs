using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>A backend is killed under load, with real resets and refused connections, and comes back.</summary>
[Collection(nameof(Alone))]
public sealed class KilledBackendTests
{
    private const int Clients = 100;
    private const int Requests = 10_000;
    private const string Answer = "One of three was killed and nobody noticed anything at all";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Load_OneOfThreeKilledAndRestarted_NoClientSeesAnError()
    {
        await using var trio = await StartAsync();
        int[] begun = [0];
        var seen = new ConcurrentQueue<Seen>();
        var clients = Enumerable.Range(0, Clients).Select(_ => ClientAsync(trio.Host, begun, seen)).ToArray();

        await Await.Until(() => seen.Count >= Requests / 4, "a quarter is answered", Limit);
        await trio.Upstreams[1].KillAsync();
        var answeredAtKill = seen.Count;
        await Await.Until(() => seen.Count >= Math.Max(Requests / 2, answeredAtKill + 500), "half is answered", Limit);
        var beforeRestart = trio.Upstreams[1].Requests.Count;
        await trio.Upstreams[1].RestartAsync();
        await Await.For(Task.WhenAll(clients), "the clients' end", Limit);

        Assert.Equal(Requests, seen.Count);
        Assert.All(seen, answer => Assert.True(answer is { Status: HttpStatusCode.OK, IsWhole: true }, $"{answer}"));
        Assert.Contains(seen, answer => answer.Attempts > 1);
        while (trio.Upstreams[1].Requests.Count == beforeRestart)
        {
            // Where the load was over before the cooldown: the next requests find it back.
            Assert.InRange(seen.Count, Requests, 10 * Requests);
            seen.Enqueue(await AskAsync(trio.Host));
        }

        await AssertBooksAsync(trio.Host, seen);
        TestContext.Current.TestOutputHelper?.WriteLine($"{seen.Count} answers, {seen.Sum(answer => answer.Attempts - 1)} attempts repeated elsewhere");
    }

    [Fact]
    public async Task Streams_OneOfThreeKilledMidway_EveryTextIsWhole()
    {
        const int Streams = 60;
        await using var trio = await StartAsync();
        trio.Upstreams[1].Script = Scripts.StreamThen(ScriptedChat.Events(Answer).Take(6), connection => connection.HangAsync());
        var clients = Enumerable.Range(0, Streams).Select(_ => StreamAsync(trio.Host)).ToArray();

        await Await.Until(() => trio.Upstreams.Sum(upstream => upstream.Requests.Count) == Streams, "every stream has begun", Limit);
        await Await.Until(() => clients.Count(client => client.IsCompleted) == Streams - trio.Upstreams[1].Requests.Count, "the others are through", Limit);
        var broken = trio.Upstreams[1].Requests.Count;
        await trio.Upstreams[1].KillAsync();
        var texts = await Await.For(Task.WhenAll(clients), "the clients' end", Limit);

        Assert.Equal(Streams / 3, broken);
        Assert.All(texts, text => Assert.Equal((Answer, true), text));
        Assert.Equal(broken, (await trio.Host.SettledAsync()).Count("b", OutcomeKind.StreamBroken));
    }

    private static async Task<Trio> StartAsync()
    {
        ScriptedUpstream[] upstreams = [.. Enumerable.Range(0, 3).Select(_ => ScriptedUpstream.Start(Scripts.Chat(Answer)))];
        return new Trio(upstreams, await BalancerHost.StartAsync(upstreams, options => options with
        {
            // Out after three failures as usual, but back soon, so that the test sees the return.
            Cooldown = TimeSpan.FromMilliseconds(200),
            CooldownMax = TimeSpan.FromMilliseconds(400),
            SlowStart = TimeSpan.Zero,
            // A third of the streams breaks at one moment, more than the fifth that the budget is meant to hold outages to.
            RetryBudgetFloor = 100,
        }));
    }

    private static async Task ClientAsync(BalancerHost host, int[] begun, ConcurrentQueue<Seen> seen)
    {
        while (Interlocked.Increment(ref begun[0]) <= Requests)
        {
            seen.Enqueue(await AskAsync(host));
        }
    }

    private static async Task<Seen> AskAsync(BalancerHost host)
    {
        using var response = await host.ChatAsync();
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        response.Headers.TryGetValues("X-Backend", out var backend);
        var attempts = int.Parse(response.Headers.GetValues("X-Attempts").Single(), CultureInfo.InvariantCulture);
        return new Seen(response.StatusCode, backend?.Single(), attempts, body.Contains(Answer, StringComparison.Ordinal));
    }

    private static async Task<(string Text, bool IsDone)> StreamAsync(BalancerHost host)
    {
        using var response = await host.ChatAsync(stream: true);
        return Sse.Text(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    /// <summary>Nothing is in flight, and what was counted is what the clients saw.</summary>
    private static async Task AssertBooksAsync(BalancerHost host, IReadOnlyCollection<Seen> seen)
    {
        var snapshot = await host.SettledAsync();
        Assert.All(snapshot.Backends, backend => Assert.Equal(seen.Count(answer => answer.Backend == backend.Name), backend.Totals.Successes));
        Assert.Equal(seen.Sum(answer => answer.Attempts), snapshot.Backends.Sum(backend => backend.Totals.Requests));
        Assert.Equal(seen.Count * (long)ScriptedChat.PromptTokens, snapshot.Backends.Sum(backend => backend.Totals.InputTokens));
        Assert.True(snapshot.For("b", 1).Totals.Requests > snapshot.For("b", 1).Totals.Successes, "The killed one has failed nobody.");
    }

    private sealed record Seen(HttpStatusCode Status, string? Backend, int Attempts, bool IsWhole);

    private sealed record Trio(ScriptedUpstream[] Upstreams, BalancerHost Host) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            foreach (var upstream in Upstreams)
            {
                await upstream.DisposeAsync();
            }
        }
    }
}
