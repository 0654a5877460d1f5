using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary>What only looks: <c>status</c>, <c>list</c>, <c>metrics</c>.</summary>
internal static class ReportCommands
{
    public static void AddTo(Command root, Globals globals)
    {
        root.Add(Build("status", "The whole in a few numbers", "status", WriteStatus));
        root.Add(Build("list", "Backends and how they are configured", "backends", WriteList));
        root.Add(Build("metrics", "Counters and latencies by backend", "metrics", WriteMetrics));

        Command Build(string name, string description, string path, Action<Terminal, JsonElement> write)
        {
            var command = new Command(name, description);
            command.SetAction(globals.With((session, _, cancellationToken) => session.ShowAsync(path, data => write(session.Terminal, data), cancellationToken)));
            return command;
        }
    }

    private static void WriteStatus(Terminal terminal, JsonElement status)
    {
        var overall = status.Member("overall_statistics");
        var unhealthy = status.Number("unhealthy_backends");
        var facts = Grid.Facts()
            .Add("strategy", status.Text("strategy"))
            .Add("backends", new Cell(
                $"{Words.Count(status.Number("healthy_backends"))} of {Words.Count(status.Number("total_backends"))} healthy", unhealthy > 0 ? Tone.Bad : Tone.Good))
            .Add("available", Words.List(status.Words("available_backends")))
            .Add("in flight", Words.Count(status.Number("in_flight")))
            .Add("requests", $"{Words.Count(overall.Number("total_requests"))} ({Words.Count(overall.Number("failed_requests"))} failed)")
            .Add("success rate", Words.Ratio(overall.Number("success_rate")))
            .Add("average time", Words.Measured(overall.Number("average_response_time")))
            .Add("answers", Percentiles(overall.Member("percentiles")))
            .Add("first tokens", Percentiles(overall.Member("time_to_first_token")))
            .Add("tokens", $"{Words.Count(overall.Number("input_tokens"))} in, {Words.Count(overall.Number("output_tokens"))} out")
            .Add("health checks", status.Flag("health_check_running") ? $"every {Words.Duration(status.Number("health_check_interval"))}" : new Cell("off", Tone.Warning))
            .Add("shared state", new Cell(status.Text("shared_state") ?? Words.None, status.Text("shared_state") == "fallback" ? Tone.Warning : Tone.Plain))
            .Add("changes", Changes(status));
        if (!status.Flag("enabled"))
        {
            facts.Add("balancing", new Cell("off: one backend gets everything", Tone.Warning));
        }

        terminal.Write(facts);
    }

    private static string Percentiles(JsonElement times) =>
        $"p50 {Words.Measured(times.Number("p50"))}, p90 {Words.Measured(times.Number("p90"))}, p99 {Words.Measured(times.Number("p99"))}";

    /// <summary>When the last run-time change was made: versions are the clock's milliseconds.</summary>
    private static string Changes(JsonElement status)
    {
        if (status.Number("version") is not ({ } version and > 0 and < 1e14))
        {
            return "none";
        }

        var last = DateTimeOffset.FromUnixTimeMilliseconds((long)version).ToString("O", CultureInfo.InvariantCulture);
        return $"last {Words.Moment(last)}, {(status.Flag("durable") ? "kept" : "not kept yet")}";
    }

    private static void WriteList(Terminal terminal, JsonElement data)
    {
        Column[] columns = ["NAME", Column.Whole("STATUS"), "URL", "MODEL", Column.Number("WEIGHT"), Column.Number("LIMIT"), Column.Number("PRIO"), "TAGS"];
        var grid = new Grid(terminal.HasRoom ? [.. columns, Column.Whole("SOURCE")] : columns);
        foreach (var backend in data.Items("backends"))
        {
            Cell[] cells =
            [
                backend.Text("name"), StatusOf(backend.Member("metrics")), backend.Text("url"), backend.Text("model_name"), Words.Count(backend.Number("weight")),
                Words.Short(backend.Number("max_connections")), Words.Count(backend.Number("priority")), Words.List(backend.Words("tags")),
            ];
            grid.Add(terminal.HasRoom ? [.. cells, backend.Text("source")] : cells);
        }

        terminal.Write(grid);
        if (data.Words("removed").ToList() is { Count: > 0 } removed)
        {
            terminal.Note($"Removed here though configured: {Words.List(removed)}; «{CommandTree.Name} restore NAME» brings one back.");
        }
    }

    private static void WriteMetrics(Terminal terminal, JsonElement data)
    {
        Column[] columns =
        [
            "NAME", Column.Whole("STATUS"), Column.Number("REQ"), Column.Number("FAIL"), Column.Number("OK"), Column.Number("ACTIVE"), Column.Number("P50"), Column.Number("P95"),
            Column.Number("TTFT"), Column.Number("TOKENS"),
        ];
        var grid = new Grid(terminal.HasRoom ? [.. columns, Column.Number("MEAN"), "LAST ERROR"] : columns);
        foreach (var backend in data.Items("backends"))
        {
            var failures = backend.Number("failed_requests");
            Cell[] cells =
            [
                backend.Text("name"), StatusOf(backend), Words.Short(backend.Number("total_requests")), new(Words.Short(failures), failures > 0 ? Tone.Bad : Tone.Plain),
                Words.Ratio(backend.Number("success_rate")), Words.Count(backend.Number("active_connections")), Words.Measured(backend.Member("percentiles").Number("p50")),
                Words.Measured(backend.Member("percentiles").Number("p95")), Words.Measured(backend.Member("time_to_first_token").Number("p50")),
                Words.Short(backend.Number("input_tokens") + backend.Number("output_tokens")),
            ];
            grid.Add(terminal.HasRoom ? [.. cells, Words.Measured(backend.Number("average_response_time")), new(backend.Text("last_error") ?? Words.None, Tone.Dim)] : cells);
        }

        terminal.Write(grid);
        foreach (var backend in data.Items("backends").Where(backend => !terminal.HasRoom && backend.Text("last_error") is not null))
        {
            terminal.Write($"{backend.Text("name")}: {backend.Text("last_error")} ({Words.Moment(backend.Text("last_error_time"))})");
        }
    }

    /// <summary>A backend's status; a healthy one that takes no new requests is told as draining.</summary>
    public static Cell StatusOf(JsonElement metrics) => metrics.Text("status") switch
    {
        "healthy" when metrics.Flag("draining") => new("draining", Tone.Warning),
        var status => new(status ?? Words.None, Words.ToneOf(status)),
    };
}
