using System.Globalization;
using System.Net.Http.Headers;

namespace Roadbalancer.Bench;

/// <summary>The balancer in memory at 70 % of the load that it can bear, minute by minute: whether memory, handles or latency grow.</summary>
internal static class Sustained
{
    private const int Connections = 200;

    private const double Load = 0.7;

    public static async Task<int> RunAsync(TimeSpan length)
    {
        var results = new Results();
        using var stage = new BenchStage(results);
        await stage.BeginAsync();
        var subject = Subjects.All.First(subject => subject.Name == Subjects.Memory);
        using var started = (await stage.TryStartAsync(subject, stage.Backends))!;
        await Wrk.RunAsync(stage.Folder, started.Port, Connections, TimeSpan.FromSeconds(10));
        var most = (await Wrk.RunAsync(stage.Folder, started.Port, Connections, TimeSpan.FromSeconds(5))).PerSecond;
        var gapMs = (int)Math.Ceiling(Connections / (most * Load) * 1000);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"At most {most:0} requests a second; each of {Connections} connections now asks every {gapMs} ms."));
        Console.WriteLine("| minute | requests/s | failed | CPU % | resident MB | handles | p50 µs | p99 µs | collections of generation 0 / 1 / 2 |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        var rows = new List<(double Mb, int Handles, double P50)>();
        var slice = TimeSpan.FromMinutes(Math.Min(1, length.TotalMinutes / 3));
        for (var minute = 0; minute < Math.Max(3, (int)length.TotalMinutes); minute++)
        {
            var cpu = started.Process.CpuUs;
            var collections = await CollectionsAsync(started.Port);
            var running = Wrk.RunAsync(stage.Folder, started.Port, Connections, slice, gapMs);
            await Pause.ForAsync(slice * 0.9);
            var (mb, handles) = (started.Process.ResidentKb / 1024.0, started.Process.Handles);
            var result = await running;
            cpu = started.Process.CpuUs - cpu;
            var since = (await CollectionsAsync(started.Port)).Zip(collections, static (now, before) => now - before);
            rows.Add((mb, handles, result.P50Us));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {minute + 1} | {result.PerSecond:0} | {result.Failures} | {cpu / slice.TotalMicroseconds * 100:0} | {mb:0.0} | {handles} | {result.P50Us:0} | {result.P99Us:0} | {string.Join(" / ", since)} |"));
        }

        // The first slices are the heap's finding its size.
        var (early, late) = (rows[rows.Count / 3], rows[^1]);
        var grows = late.Mb > (early.Mb * 1.1) + 5 || late.Handles > early.Handles + 10 || late.P50 > (early.P50 * 1.5) + 200;
        Console.WriteLine(grows ? "It grew." : "No growth of memory, handles or latency.");
        return grows ? 1 : 0;
    }

    /// <summary>Garbage collections so far by generation, as the balancer's own metrics tell.</summary>
    private static async Task<long[]> CollectionsAsync(int port)
    {
        const string Name = "dotnet_gc_collections_total{";
        using var http = new HttpClient { DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", Subjects.ClientKey) } };
        var metrics = await http.GetStringAsync($"http://127.0.0.1:{port}/metrics");
        return [.. metrics.Split('\n').Where(line => line.StartsWith(Name, StringComparison.Ordinal))
            .OrderBy(line => line, StringComparer.Ordinal).Select(line => (long)double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture))];
    }
}
