using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>A balancer over scripted upstreams, called a, b, … in their order, and what can be said of both afterwards.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private Stage(BalancerHost balancer, IReadOnlyList<ScriptedUpstream> upstreams)
    {
        Balancer = balancer;
        Upstreams = upstreams;
    }

    public BalancerHost Balancer { get; }

    public IReadOnlyList<ScriptedUpstream> Upstreams { get; }

    public ScriptedUpstream A => Upstreams[0];

    public ScriptedUpstream B => Named("b");

    public ScriptedUpstream C => Named("c");

    /// <summary>
    /// Round robin, so that the first request goes to a; one retry at each backend, so that tests do not wait for two; time-outs that a loaded
    /// machine does not meet by accident; all on a <see cref="HurriedTime"/>.
    /// </summary>
    public static async Task<Stage> StartAsync(
        IReadOnlyList<UpstreamScript> scripts, Func<BalancerOptions, BalancerOptions>? change = null, Func<int, Backend, Backend>? shape = null)
    {
        var time = new HurriedTime();
        var upstreams = scripts.Select(script => ScriptedUpstream.Start(script, time)).ToArray();
        var backends = upstreams.Select((upstream, index) =>
        {
            var backend = new Backend { Name = ((char)('a' + index)).ToString(), BaseUrl = upstream.BaseUrl, FirstTokenTimeout = TimeSpan.FromSeconds(60) };
            return shape?.Invoke(index, backend) ?? backend;
        });
        var options = new BalancerOptions { Backends = [.. backends], HealthCheckEnabled = false, RetryCount = 1 };
        var balancer = await BalancerHost.StartAsync(
            change?.Invoke(options) ?? options, services => services.AddSingleton<TimeProvider>(time).AddSingleton(new Chance(1)));
        return new(balancer, upstreams);
    }

    /// <summary>Two peers.</summary>
    public static Task<Stage> PeersAsync(UpstreamScript a, UpstreamScript b, Func<BalancerOptions, BalancerOptions>? change = null, Func<int, Backend, Backend>? shape = null) =>
        StartAsync([a, b], change, shape);

    /// <summary>Two backends, b of a worse priority.</summary>
    public static Task<Stage> GroupsAsync(UpstreamScript a, UpstreamScript b, Func<BalancerOptions, BalancerOptions>? change = null, Func<int, Backend, Backend>? shape = null) =>
        StartAsync([a, b], change, (index, backend) => (shape?.Invoke(index, backend) ?? backend) with { Priority = index });

    /// <summary>Three peers that one request passes in the order of their names: round robin over three goes on to the third before the second.</summary>
    public static Task<Stage> ThreeAsync(
        UpstreamScript a, UpstreamScript b, UpstreamScript c, Func<BalancerOptions, BalancerOptions>? change = null, Func<string, Backend, Backend>? shape = null) =>
        StartAsync([a, c, b], change, (index, backend) => ((string[])["a", "c", "b"])[index] is var name
            ? shape?.Invoke(name, backend with { Name = name }) ?? backend with { Name = name }
            : backend);

    /// <summary>One backend.</summary>
    public static Task<Stage> AloneAsync(UpstreamScript a, Func<BalancerOptions, BalancerOptions>? change = null, Func<int, Backend, Backend>? shape = null) =>
        StartAsync([a], change, shape);

    /// <summary>Asks for a stream, and calls <paramref name="onText"/> with all that has come whenever more has.</summary>
    public Task<Heard> AskAsync(Action<string> onText) => Heard.OfAsync(Balancer.ChatAsync(stream: true), onText);

    public Task<Heard> AskAsync(bool stream = false, params (string Name, string Value)[] headers) => Heard.OfAsync(Balancer.ChatAsync(stream, headers));

    public Task<Heard> PostAsync(string path, string json) => Heard.OfAsync(Balancer.PostAsync(path, json));

    public Task<Heard> PostAsync(string path, object json) => PostAsync(path, JsonSerializer.Serialize(json));

    /// <summary>The condition of a backend once nothing is in flight any more.</summary>
    public async Task<(Vitals Vitals, long NowMs)> SettledAsync(string backend)
    {
        await SettledAsync();
        var snapshot = await Balancer.ReadAsync();
        return (snapshot.For(backend).Vitals, snapshot.NowMs);
    }

    /// <summary>Waits until nothing is in flight.</summary>
    public Task SettledAsync() => Await.Until(
        () => Balancer.InFlightAsync() is { IsCompletedSuccessfully: true } read && read.GetAwaiter().GetResult() == 0, "nothing is in flight");

    /// <summary>Failures in a row that a backend is blamed with, once nothing is in flight any more.</summary>
    public async Task<int> FailuresAsync(string backend) => (await SettledAsync(backend)).Vitals.ConsecutiveFailures;

    /// <summary>Waits until the balancer has logged <paramref name="text"/>; it logs after the client has its answer.</summary>
    public Task LoggedAsync(string text) => Await.Until(() => Balancer.Log.Has(text), $"the log has «{text}»");

    public async ValueTask DisposeAsync()
    {
        await Balancer.DisposeAsync();
        foreach (var upstream in Upstreams)
        {
            await upstream.DisposeAsync();
        }
    }

    private ScriptedUpstream Named(string name) => Upstreams[Balancer.Pools.Current.IndexOf(name)];
}
