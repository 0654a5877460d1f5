using System.CommandLine;
using System.Text.Json;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>top</c>: the backends at work, live. Anywhere but on a terminal one picture of them.</summary>
internal static class TopCommand
{
    private const string Path = "events?types=status";

    /// <summary>What the table has of each backend; times and successes are of the last minute.</summary>
    private static readonly Column[] Columns =
    [
        "NAME", Column.Whole("STATUS"), Column.Number("REQ/S"), Column.Number("FAIL/S"), Column.Number("ACTIVE"), Column.Number("OK"), Column.Number("P50"), Column.Number("P95"),
        Column.Number("TTFT"), Column.Number("TOK/S"),
    ];

    public static Command Build(Globals globals, TimeProvider time)
    {
        var command = new Command("top", "Live: who gets how much, how fast, and how it goes; q ends it. Piped: one picture");
        command.SetAction(globals.With((session, _, cancellationToken) => session.Terminal.IsTerminal && !session.IsJson
            ? LiveAsync(session, time, cancellationToken)
            : OnceAsync(session, time, cancellationToken)));
        return command;
    }

    private static async Task<int> OnceAsync(Session session, TimeProvider time, CancellationToken cancellationToken)
    {
        var stream = new EventStream(session.Api, time, session.Terminal.Note);
        var isFirst = true;
        await foreach (var item in stream.ReadAsync(Path, cancellationToken))
        {
            if (isFirst)
            {
                // Rates are differences to the status before, and where nobody else listens there was none.
                isFirst = false;
                continue;
            }

            using var document = JsonDocument.Parse(item.Data);
            if (session.IsJson)
            {
                session.Terminal.WriteJson(document.RootElement);
            }
            else
            {
                session.Terminal.Write(Head(document.RootElement));
                session.Terminal.Write(Totals(document.RootElement));
                session.Terminal.Write(Backends(document.RootElement));
            }

            return ExitCode.Done;
        }

        return session.Terminal.Fail(stream.Problem ?? "The events ended.");
    }

    private static async Task<int> LiveAsync(Session session, TimeProvider time, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var remark = $"{session.Api.Server}  (q ends)";
        var usual = remark;
        var stream = new EventStream(session.Api, time, sentence => remark = sentence == "The balancer is back." ? usual : sentence);
        await using var events = stream.ReadAsync(Path, ended.Token).GetAsyncEnumerator(ended.Token);
        if (!await NextAsync(events, ended.Token))
        {
            return stream.Problem is { } problem ? session.Terminal.Fail(problem) : ExitCode.Done;
        }

        using (var screen = FullScreen.Open(session.Terminal, ended.Cancel))
        {
            do
            {
                using var document = JsonDocument.Parse(events.Current.Data);
                var status = document.RootElement;
                screen.Show([Head(status), Totals(status), "", .. session.Terminal.Draw(Backends(status)).TrimEnd('\n').Split('\n'), "", remark]);
            }
            while (await NextAsync(events, ended.Token));
        }

        return stream.Problem is { } refusal ? session.Terminal.Fail(refusal) : ExitCode.Done;
    }

    private static async ValueTask<bool> NextAsync(IAsyncEnumerator<System.Net.ServerSentEvents.SseItem<string>> events, CancellationToken ended)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            return false;
        }
    }

    private static string Head(JsonElement status) =>
        $"{Words.Clock(status.Text("time"))}  {status.Text("strategy")}  {Words.Count(status.Number("healthy_backends"))} of {Words.Count(status.Number("total_backends"))} healthy  "
        + $"state: {status.Text("shared_state")}{(status.Flag("health_check_running") ? "" : "  health checks off")}";

    private static string Totals(JsonElement status) =>
        $"{Words.Short(status.Number("requests_per_second"))} requests/s  {Words.Short(status.Number("failures_per_second"))} failures/s  "
        + $"{Words.Count(status.Number("in_flight"))} in flight  {Words.Count(status.Number("waiting"))} waiting  "
        + $"{Words.Short(status.Number("input_tokens_per_second"))} + {Words.Short(status.Number("output_tokens_per_second"))} tokens/s";

    private static Grid Backends(JsonElement status)
    {
        var grid = new Grid(Columns);
        foreach (var backend in status.Items("backends"))
        {
            var recent = backend.Member("recent");
            var failures = backend.Number("failures_per_second");
            grid.Add(
                backend.Text("name"), ReportCommands.StatusOf(backend), Words.Short(backend.Number("requests_per_second")),
                new Cell(Words.Short(failures), failures > 0 ? Tone.Bad : Tone.Plain),
                $"{Words.Short(backend.Number("active_connections"))}/{Words.Short(backend.Number("max_connections"))}", Words.Ratio(recent.Number("success_rate")),
                Words.Measured(recent.Member("percentiles").Number("p50")), Words.Measured(recent.Member("percentiles").Number("p95")),
                Words.Measured(recent.Member("time_to_first_token").Number("p50")),
                Words.Short(backend.Number("input_tokens_per_second") + backend.Number("output_tokens_per_second")));
        }

        return grid;
    }
}
