using System.Collections.Immutable;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;

namespace Roadbalancer.Soak;

/// <summary>
/// The balancer on a real Kestrel over three upstreams that fail in every way, under an open load: nothing may hang, be cut unseen, leak, or fail
/// without a reason.
/// </summary>
public static class SoakRun
{
    private const int Upstreams = 3;
    private const int HeapSamples = 24;

    /// <summary>Bytes: over the 40,000 requests of the last third of ten minutes, 200 for each.</summary>
    private const long HeapAllowance = 8 * 1024 * 1024;

    private static readonly TimeProvider Time = TimeProvider.System;

    /// <summary>Runs to its end. What went wrong is in the report; it does not throw for that.</summary>
    public static async Task<SoakReport> RunAsync(SoakSettings settings)
    {
        var notes = new SoakNotes();
        var chance = new Chance(settings.Seed);
        var before = ProcessLoad.Now();
        var upstreams = Enumerable.Range(0, Upstreams).Select(_ => new SoakUpstream(new Chance(chance.NextBits()), notes.Faults)).ToArray();
        var log = new SoakLog();
        await using (var app = await StartAsync(upstreams, log, chance))
        {
            var url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
            using (var client = new SoakClient(url))
            {
                using var over = new CancellationTokenSource();
                var killing = KillAsync(upstreams, new Chance(chance.NextBits()), notes, over.Token);
                var watching = WatchHeapAsync(settings, notes, over.Token);
                await LoadAsync(settings, client, app.Services, log, new Chance(chance.NextBits()), notes);
                await over.CancelAsync();
                await Task.WhenAll(killing, watching);
            }

            await CheckPlacesAsync(app.Services, notes);
            notes.HeapAtRest = GC.GetTotalMemory(forceFullCollection: true);
            await app.StopAsync(CancellationToken.None);
        }

        foreach (var fault in log.Faults)
        {
            notes.Violate($"the balancer logged a fault of its own: {fault}");
        }

        await UntilAsync(() => upstreams.Sum(upstream => upstream.Server.Open) == 0, "connections to upstreams are still open", notes);
        foreach (var upstream in upstreams)
        {
            foreach (var error in upstream.Server.ScriptErrors)
            {
                notes.Violate($"the soak's own upstream failed: {error}");
            }

            await upstream.DisposeAsync();
        }

        if (settings.WatchesProcess)
        {
            CheckHeap(notes);
            await UntilAsync(() => ProcessLoad.Now().IsNoMoreThan(before), $"the process holds more than at its start ({before})", notes);
        }

        return notes.Report(settings);
    }

    private static async Task<WebApplication> StartAsync(SoakUpstream[] upstreams, SoakLog log, Chance chance)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft", LogLevel.None);
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(new Chance(chance.NextBits()));
        builder.Services.AddRoadbalancer(new BalancerOptions
        {
            Backends = [.. upstreams.Select((upstream, index) => new Backend
            {
                Name = ((char)('a' + index)).ToString(),
                BaseUrl = upstream.Server.BaseUrl,
                MaxConnections = 1_000,
                Timeout = TimeSpan.FromSeconds(4),
                ConnectTimeout = TimeSpan.FromSeconds(2),
                FirstTokenTimeout = TimeSpan.FromSeconds(1.5),
                StreamIdleTimeout = TimeSpan.FromSeconds(1.5),
            })],
            Strategy = "least_connections",
            HealthCheckInterval = TimeSpan.FromSeconds(1),
            Cooldown = TimeSpan.FromSeconds(0.5),
            CooldownMax = TimeSpan.FromSeconds(2),
            SlowStart = TimeSpan.FromSeconds(1),
            QuotaPark = TimeSpan.FromSeconds(1),
            ModelAbsentPark = TimeSpan.FromSeconds(1),
            TotalTimeout = TimeSpan.FromSeconds(30),
        });
        var app = builder.Build();
        app.MapRoadbalancer();
        await app.StartAsync();
        return app;
    }

    /// <summary>Sends at the rate whatever becomes of the answers, then waits for the last of them.</summary>
    private static async Task LoadAsync(SoakSettings settings, SoakClient client, IServiceProvider services, SoakLog log, Chance chance, SoakNotes notes)
    {
        var startedAt = Time.GetTimestamp();
        var total = settings.Seconds * settings.Rate;
        var running = new HashSet<Task>();
        for (var number = 0; number < total; number++)
        {
            var due = TimeSpan.FromSeconds(number / (double)settings.Rate) - Time.GetElapsedTime(startedAt);
            if (due > TimeSpan.FromMilliseconds(1))
            {
                await Task.Delay(due, Time, CancellationToken.None);
                running.RemoveWhere(task => task.IsCompletedSuccessfully);
            }

            var request = SoakRequest.Draw(number, chance);
            running.Add(Task.Run(() => JudgeAsync(request, client, services, log, notes)));
        }

        await Task.WhenAll(running);
    }

    private static async Task JudgeAsync(SoakRequest request, SoakClient client, IServiceProvider services, SoakLog log, SoakNotes notes)
    {
        var answer = await client.SendAsync(request);
        var (trail, overBudget) = log.Take(request.Id);
        notes.Verdicts.Add(answer.Verdict.ToString());
        if (answer.Verdict == Verdict.Broken)
        {
            notes.Violate($"{request}: {answer.Code} ({answer.Status}; {answer.Trail}; {trail})");
        }
        else if (answer.Verdict == Verdict.Error)
        {
            notes.Errors.Add($"{answer.Status} {answer.Code}");
            var snapshot = await services.GetRequiredService<IBalancerState>().ReadAsync(Pool.DefaultName, CancellationToken.None);
            var whole = trail.Length > 0 ? trail : answer.Trail;
            var reason = Explanation.Of(request, whole, overBudget, services.GetRequiredService<PoolSource>().Current, snapshot);
            notes.Reasons.Add(reason ?? "UNEXPLAINED");
            if (reason is null)
            {
                notes.Violate($"{request}: unexplained error {answer.Status} {answer.Code} ({whole})");
            }
        }
    }

    /// <summary>Now and then a whole upstream dies, connections and all, and comes back; never two at a time.</summary>
    private static async Task KillAsync(SoakUpstream[] upstreams, Chance chance, SoakNotes notes, CancellationToken over)
    {
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromSeconds(2 + chance.Next(8)), Time, over);
                var server = upstreams[chance.Next(upstreams.Length)].Server;
                await server.KillAsync();
                notes.Faults.Add("(killed whole)");
                await Task.Delay(TimeSpan.FromMilliseconds(300 + chance.Next(2_000)), Time, CancellationToken.None);
                await server.RestartAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The load is over, and every upstream is back.
        }
    }

    private static async Task WatchHeapAsync(SoakSettings settings, SoakNotes notes, CancellationToken over)
    {
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromSeconds(settings.Seconds / (double)HeapSamples), Time, over);
                notes.Heap.Add(GC.GetTotalMemory(forceFullCollection: true));
            }
        }
        catch (OperationCanceledException)
        {
            // The load is over.
        }
    }

    /// <summary>
    /// The last third against the middle one, by the least of each: requests under way and pools of buffers after a burst only add to it,
    /// while what is never given back raises it for good.
    /// </summary>
    private static void CheckHeap(SoakNotes notes)
    {
        var third = notes.Heap.Count / 3;
        if (third == 0)
        {
            return;
        }

        var middle = notes.Heap.Skip(third).SkipLast(third).Min();
        var last = notes.Heap.TakeLast(third).Min();
        if (last > middle + HeapAllowance)
        {
            notes.Violate($"memory grows: {middle / 1048576.0:0.0} MB in the middle third, {last / 1048576.0:0.0} MB in the last");
        }
    }

    private static async Task CheckPlacesAsync(IServiceProvider services, SoakNotes notes)
    {
        var state = services.GetRequiredService<InMemoryState>();
        var queue = services.GetRequiredService<WaitQueue>();
        ImmutableArray<BackendSnapshot> backends = [];
        await UntilAsync(() => queue.Waiting == 0, "requests still wait for a place", notes);
        for (var look = 0; look < 100; look++)
        {
            backends = (await state.ReadAsync(Pool.DefaultName, CancellationToken.None)).Backends;
            if (backends.All(backend => backend.Vitals.InFlight == 0))
            {
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), Time, CancellationToken.None);
        }

        notes.Violate($"places are still held: {string.Join(", ", backends.Select(backend => $"{backend.Name} {backend.Vitals.InFlight}"))}");
    }

    private static async Task UntilAsync(Func<bool> condition, string otherwise, SoakNotes notes)
    {
        for (var look = 0; look < 100; look++)
        {
            if (condition())
            {
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), Time, CancellationToken.None);
        }

        notes.Violate($"{otherwise}; now {ProcessLoad.Now()}");
    }
}
