using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>events</c>: what happens, as it happens.</summary>
internal static class EventsCommand
{
    public static Command Build(Globals globals, TimeProvider time)
    {
        var types = new Option<string[]>("--types")
        {
            Description = "Of which kind: transition and change (default), status (one a second)",
            HelpName = "TYPE",
            AllowMultipleArgumentsPerToken = true,
        };
        types.AcceptOnlyFromAmong("transition", "change", "status");
        var recent = new Option<int>("--recent") { Description = "So many past ones first, at most 500", HelpName = "N" };
        var count = new Option<int>("--count") { Description = "End after so many; default: go on until Ctrl-C", HelpName = "N" };
        var command = new Command("events", "What happens, as it happens; with --json one object a line") { types, recent, count };
        command.SetAction(globals.With((session, line, cancellationToken) =>
        {
            var wanted = line.GetValue(types) is { Length: > 0 } given ? given : ["transition", "change"];
            var path = string.Create(CultureInfo.InvariantCulture, $"events?types={string.Join(',', wanted)}&recent={line.GetValue(recent)}");
            return ShowAsync(session, new EventStream(session.Api, time, session.Terminal.Note), path, line.GetValue(count), cancellationToken);
        }));
        return command;
    }

    private static async Task<int> ShowAsync(Session session, EventStream stream, string path, int most, CancellationToken cancellationToken)
    {
        var shown = 0;
        try
        {
            await foreach (var item in stream.ReadAsync(path, cancellationToken))
            {
                using var document = JsonDocument.Parse(item.Data);
                if (session.IsJson)
                {
                    session.Terminal.WriteJsonLine(document.RootElement);
                }
                else
                {
                    Write(session.Terminal, item.EventType, document.RootElement);
                }

                if (++shown == most)
                {
                    return ExitCode.Done;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C is how one leaves.
            return ExitCode.Done;
        }

        return session.Terminal.Fail(stream.Problem ?? "The events ended.");
    }

    private static void Write(Terminal terminal, string type, JsonElement data)
    {
        var what = type switch { "transition" => Transition(data), "change" => Change(data), "status" => Status(data), _ => data.GetRawText() };
        string[] cells = [Words.Clock(data.Text("time")), type, data.Text("backend") ?? Words.None, what];
        var line = terminal.IsTerminal ? $"{cells[0]}  {cells[1],-10}  {cells[2],-16}  {cells[3]}" : string.Join('\t', cells);
        terminal.WriteRaw(Words.Clean(line, keepsLines: true) + Environment.NewLine);
    }

    private static string Transition(JsonElement data)
    {
        var text = data.Text("kind") ?? Words.None;
        text += data.Text("cause") is { } cause ? $": {cause}" : "";
        text += data.Text("model") is { } model ? $", model {model}" : "";
        text += data.Number("open_for") is > 0 and var open ? $", out for {Words.Duration(open)}" : "";
        return text + (data.Number("parked_for") is > 0 and var parked ? $", parked for {Words.Duration(parked)}" : "");
    }

    private static string Change(JsonElement data)
    {
        var differences = data.Items("backends").SelectMany(backend => Differences(backend, $"{backend.Text("name")} "))
            .Concat(Differences(data.Member("settings"), "")).ToList();
        return $"{data.Text("action")} by {data.Text("by")}{(differences.Count == 0 ? "" : ": ")}{string.Join(", ", differences)}";
    }

    private static IEnumerable<string> Differences(JsonElement changed, string prefix)
    {
        var (before, after) = (changed.Member("before"), changed.Member("after"));
        if (before.ValueKind != JsonValueKind.Object || after.ValueKind != JsonValueKind.Object)
        {
            // It came or went as a whole, which the action says.
            return [];
        }

        return before.EnumerateObject().Select(field => field.Name).Union(after.EnumerateObject().Select(field => field.Name))
            .Select(field => $"{prefix}{field} {Words.Value(before.Member(field))} -> {Words.Value(after.Member(field))}");
    }

    private static string Status(JsonElement data) =>
        $"{Words.Count(data.Number("healthy_backends"))} of {Words.Count(data.Number("total_backends"))} healthy, {Words.Count(data.Number("in_flight"))} in flight, "
        + $"{Words.Short(data.Number("requests_per_second"))} requests/s";
}
