using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary>What holds for all backends: <c>strategy get|set</c>, <c>health-check-control start|stop</c>.</summary>
internal static class SettingCommands
{
    public static void AddTo(Command root, Globals globals)
    {
        root.Add(new Command("strategy", "Which backend gets the next request") { Get(globals), Set(globals) });
        root.Add(new Command("health-check-control", "Probes on or off, at every instance")
        {
            Switch("start", "Starts probing"),
            Switch("stop", "Stops probing; requests still count"),
        });

        Command Switch(string name, string description)
        {
            var command = new Command(name, description);
            command.SetAction(globals.With((session, _, cancellationToken) => session.ChangeAsync(HttpMethod.Post, "health_check/" + name, null, cancellationToken)));
            return command;
        }
    }

    private static Command Get(Globals globals)
    {
        var command = new Command("get", "The strategy and three settings");
        command.SetAction(globals.With((session, _, cancellationToken) => session.ShowAsync("strategy", data => Write(session.Terminal, data), cancellationToken)));
        return command;
    }

    private static Command Set(Globals globals)
    {
        var command = new Command("set", "Changes what is named; the rest stays");
        FieldOption[] fields =
        [
            new("--strategy", "strategy", FieldKind.Text, "round_robin, weighted_round_robin, least_connections, random, consistent_hash or response_time", "NAME"),
            new("--health-check-interval", "health_check_interval", FieldKind.Number, "Between probes", "SECONDS"),
            new("--max-retries", "max_retries", FieldKind.Number, "Further attempts at the same backend"),
            new("--failure-threshold", "failure_threshold", FieldKind.Number, "Failures in a row that take a backend out"),
        ];
        Array.ForEach(fields, field => command.Add(field.Option));
        fields[0].Option.CompletionSources.Add("round_robin", "weighted_round_robin", "least_connections", "random", "consistent_hash", "response_time");
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var body = new JsonObject();
            foreach (var field in fields)
            {
                field.TryApply(line, body, out _);
            }

            return body.Count == 0 ? session.Terminal.Usage("Nothing to change is named.", CommandTree.PathOf(command))
                : await session.ChangeAsync(HttpMethod.Put, "strategy", body, cancellationToken, show: data => Write(session.Terminal, data.Member("strategy")));
        }));
        return command;
    }

    private static void Write(Terminal terminal, JsonElement data)
    {
        var changed = data.Words("changed_fields").ToHashSet(StringComparer.Ordinal);
        terminal.Write(Grid.Facts()
            .Add("strategy", Told("strategy"))
            .Add("health check interval", $"{Words.Count(data.Number("health_check_interval"))} s{Mark("health_check_interval")}")
            .Add("max retries", Told("max_retries"))
            .Add("failure threshold", Told("failure_threshold")));

        string Told(string field) => Words.Value(data.Member(field)) + Mark(field);
        string Mark(string field) => changed.Contains(field) ? " (changed here)" : "";
    }
}
