using System.Globalization;

namespace Roadbalancer.Bench;

/// <summary>A whole run: requests in alternating rounds, streams, open streams, start-up; then the table.</summary>
/// <param name="only">Names to which subjects are limited, by their beginning; empty for all.</param>
internal sealed class BenchRun(BenchPlan plan, string[] only)
{
    private readonly Results _results = new();
    private readonly Subject[] _subjects = [.. Subjects.All.Where(subject =>
        only.Length == 0 || subject.Name == Subjects.Nginx || only.Any(name => subject.Name.Contains(name, StringComparison.OrdinalIgnoreCase)))];

    public async Task RunAsync()
    {
        using var stage = new BenchStage(_results);
        await stage.BeginAsync();
        if (plan.Rounds > 0)
        {
            await RequestsAsync(stage);
        }

        if (plan.StreamRounds > 0)
        {
            await StreamsAsync(stage);
        }

        if (plan.Starts > 0)
        {
            await OpenStreamsAsync(stage);
            await StartsAsync(stage);
        }

        Console.WriteLine(await Report.WriteAsync(_results, plan.Name, Environment.GetEnvironmentVariable("BENCH_RESULTS") ?? "results"));
    }

    private async Task RequestsAsync(BenchStage stage)
    {
        var running = await stage.StartAllAsync(_subjects, stage.Backends);
        foreach (var subject in running)
        {
            await WarmUpAsync(stage, subject);
        }

        foreach (var connections in plan.Connections)
        {
            for (var round = 0; round < plan.Rounds; round++)
            {
                foreach (var subject in running)
                {
                    await RequestRoundAsync(stage, subject, connections);
                }

                if (connections == 1)
                {
                    var direct = await Wrk.RunAsync(stage.Folder, stage.Backends[0], 1, TimeSpan.FromSeconds(plan.RequestSeconds));
                    _results.Add("p50 at 1 connection, µs", "no proxy", direct.P50Us, hasRatios: false);
                }
            }
        }

        foreach (var subject in running)
        {
            _results.Add("peak resident memory after requests, MB", subject.Name, subject.Process.PeakKb / 1024.0);
            subject.Dispose();
        }
    }

    /// <summary>Load until the cost of a request falls no longer: a runtime that still compiles is not what is to be measured.</summary>
    private async Task WarmUpAsync(BenchStage stage, StartedSubject subject)
    {
        const int Slice = 2;
        var least = double.PositiveInfinity;
        for (var (seconds, steady) = (0, 0); seconds < plan.WarmUpSeconds && steady < 3; seconds += Slice)
        {
            var before = subject.Process.CpuUs;
            var result = await Wrk.RunAsync(stage.Folder, subject.Port, 64, TimeSpan.FromSeconds(Slice));
            var cost = (subject.Process.CpuUs - before) / result.Requests;
            steady = cost < least * 0.97 ? 0 : steady + 1;
            least = Math.Min(least, cost);
        }
    }

    private async Task RequestRoundAsync(BenchStage stage, StartedSubject subject, int connections)
    {
        var before = subject.Process.CpuUs;
        var result = await Wrk.RunAsync(stage.Folder, subject.Port, connections, TimeSpan.FromSeconds(plan.RequestSeconds));
        var cpu = subject.Process.CpuUs - before;
        var at = connections == 1 ? "at 1 connection" : string.Create(CultureInfo.InvariantCulture, $"at {connections} connections");
        _results.Add($"CPU per request {at}, µs", subject.Name, cpu / result.Requests);
        _results.Add($"requests a second {at}", subject.Name, result.PerSecond);
        _results.Add($"p50 {at}, µs", subject.Name, result.P50Us);
        _results.Add($"p99 {at}, µs", subject.Name, result.P99Us);
        if (result.Failures > 0)
        {
            _results.Remarks.Add($"{subject.Name} {at}: {result.Failures} requests failed.");
        }
    }

    private async Task StreamsAsync(BenchStage stage)
    {
        using var upstream = stage.StartStreams();
        var running = await stage.StartAllAsync(_subjects, stage.StreamBackends);
        for (var round = 0; round < plan.StreamRounds; round++)
        {
            _results.Add("first chunk of a stream, µs", "no proxy", await StreamLoad.FirstChunkAsync(stage.StreamBackends[0], 50), hasRatios: false);
            foreach (var subject in running)
            {
                await StreamRoundAsync(subject);
            }
        }

        running.ForEach(subject => subject.Dispose());
    }

    private async Task StreamRoundAsync(StartedSubject subject)
    {
        using (var load = new StreamLoad())
        {
            await load.OpenAsync(subject.Port, BenchPlan.Streams, every: 1);
            await Pause.ForAsync(TimeSpan.FromSeconds(1));
            load.Time();
            var (cpu, chunks) = (subject.Process.CpuUs, load.Chunks);
            await Pause.ForAsync(TimeSpan.FromSeconds(plan.StreamSeconds));
            (cpu, chunks) = (subject.Process.CpuUs - cpu, load.Chunks - chunks);
            var delays = load.DelaysUs();
            _results.Add($"CPU per chunk of {BenchPlan.Streams} streams, µs", subject.Name, cpu / chunks);
            _results.Add("chunks a second", subject.Name, chunks / (double)plan.StreamSeconds, hasRatios: false);
            _results.Add("chunk under way, p50, µs", subject.Name, delays[delays.Length / 2]);
            _results.Add("chunk under way, p99, µs", subject.Name, delays[(int)(delays.Length * 0.99)]);
            if (load.Lost > 0)
            {
                _results.Remarks.Add($"{subject.Name}: {load.Lost} streams broke off.");
            }
        }

        await Pause.ForAsync(TimeSpan.FromMilliseconds(500));
        _results.Add("first chunk of a stream, µs", subject.Name, await StreamLoad.FirstChunkAsync(subject.Port, 50), hasRatios: false);
    }

    /// <summary>Fresh processes, warmed by a few streams: what each of many quiet ones adds.</summary>
    private async Task OpenStreamsAsync(BenchStage stage)
    {
        using var upstream = stage.StartStreams();
        foreach (var subject in _subjects)
        {
            if (await stage.TryStartAsync(subject, stage.StreamBackends) is not { } started)
            {
                continue;
            }

            using (started)
            using (var first = new StreamLoad())
            using (var load = new StreamLoad())
            {
                await first.OpenAsync(started.Port, 50, every: 50);
                await Pause.ForAsync(TimeSpan.FromMilliseconds(1000));
                var before = started.Process.ResidentKb;
                await load.OpenAsync(started.Port, BenchPlan.OpenStreams, every: 50);
                await Pause.ForAsync(TimeSpan.FromSeconds(plan == BenchPlan.Quick ? 2 : 5));
                _results.Add($"memory for each of {BenchPlan.OpenStreams} open streams, KB", subject.Name, (started.Process.ResidentKb - before) / (double)BenchPlan.OpenStreams);
            }
        }
    }

    private async Task StartsAsync(BenchStage stage)
    {
        for (var round = 0; round < plan.Starts; round++)
        {
            foreach (var subject in _subjects)
            {
                if (await stage.TryStartAsync(subject, stage.Backends) is not { } started)
                {
                    continue;
                }

                using (started)
                {
                    _results.Add("start to first 200, ms", subject.Name, started.FirstAnswerMs, hasRatios: false);
                    await Pause.ForAsync(TimeSpan.FromMilliseconds(2000));
                    _results.Add("resident memory after one request, MB", subject.Name, started.Process.ResidentKb / 1024.0, hasRatios: false);
                }
            }
        }
    }
}
