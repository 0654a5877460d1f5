using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary>Client keys: <c>keys list|add|update|remove</c>.</summary>
internal static class KeyCommands
{
    public static Command Build(Globals globals) => new("keys", "Who may call, and how much") { List(globals), Add(globals), Update(globals), Remove(globals) };

    private static Command List(Globals globals)
    {
        var command = new Command("list", "The keys with their limits and what they were used for; never their secrets");
        command.SetAction(globals.With((session, _, cancellationToken) => session.ShowAsync("keys", data => Write(session.Terminal, data), cancellationToken)));
        return command;
    }

    private static Command Add(Globals globals)
    {
        var command = new Command("add", "Makes a key and tells its secret, once");
        var name = new NameArgument(command, "key");
        var limits = Limits(command);
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var body = new JsonObject { ["name"] = Uri.UnescapeDataString(name.Read(line)) };
            Array.ForEach(limits, limit => limit.TryApply(line, body, out _));
            return await session.ChangeAsync(
                HttpMethod.Post, "keys", body, cancellationToken, show: data => session.Terminal.Write(Grid.Facts().Add("secret", data.Text("secret"))));
        }));
        return command;
    }

    private static Command Update(Globals globals)
    {
        var command = new Command("update", "Changes a key's limits; what is not named stays");
        var name = new NameArgument(command, "key");
        var limits = Limits(command);
        var unsets = new Option<string[]>("--unset")
        {
            Description = "A limit that is taken away: requests_per_minute",
            HelpName = "LIMIT",
            AllowMultipleArgumentsPerToken = true,
        };
        command.Add(unsets);
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var body = new JsonObject();
            Array.ForEach(limits, limit => limit.TryApply(line, body, out _));
            foreach (var limit in line.GetValue(unsets) ?? [])
            {
                body[limit] = null;
            }

            return body.Count == 0 ? session.Terminal.Usage("Nothing to change is named.", CommandTree.PathOf(command))
                : await session.ChangeAsync(HttpMethod.Patch, "keys/" + name.Read(line), body, cancellationToken);
        }));
        return command;
    }

    private static Command Remove(Globals globals)
    {
        var command = new Command("remove", "Takes a key away at once; requests under way end undisturbed");
        var name = new NameArgument(command, "key");
        command.SetAction(globals.With((session, line, cancellationToken) => session.ChangeAsync(HttpMethod.Delete, "keys/" + name.Read(line), null, cancellationToken)));
        return command;
    }

    private static FieldOption[] Limits(Command command)
    {
        FieldOption[] limits =
        [
            new("--models", "models", FieldKind.Words, "Only these models; * at the end stands for any", "MODEL"),
            new("--tags", "tags", FieldKind.Words, "Only backends with one of these tags", "TAG"),
            new("--requests-per-minute", "requests_per_minute", FieldKind.Number, "Requests in any minute"),
            new("--tokens-per-minute", "tokens_per_minute", FieldKind.Number, "Tokens of prompts and answers in any minute"),
            new("--max-concurrency", "max_concurrency", FieldKind.Number, "Requests at the same time"),
            new("--expires", "expires", FieldKind.Text, "Until when: 2027-01-31 or 2027-01-31T12:00:00Z", "TIME"),
        ];
        Array.ForEach(limits, limit => command.Add(limit.Option));
        return limits;
    }

    private static void Write(Terminal terminal, JsonElement data)
    {
        Column[] columns =
        [
            "MODELS", "TAGS", Column.Number("REQ/MIN"), Column.Number("TOK/MIN"), Column.Number("AT ONCE"), Column.Whole("EXPIRES"), Column.Number("REQ"),
            Column.Number("REFUSED"), Column.Number("TOKENS"),
        ];
        var grid = new Grid(terminal.HasRoom ? ["NAME", Column.Whole("SOURCE"), .. columns] : ["NAME", .. columns]);
        foreach (var key in data.Items("keys"))
        {
            var usage = key.Member("usage");
            Cell[] cells =
            [
                Words.List(key.Words("models")), Words.List(key.Words("tags")), Words.Short(key.Number("requests_per_minute")),
                Words.Short(key.Number("tokens_per_minute")), Words.Short(key.Number("max_concurrency")),
                key.Flag("expired") ? new Cell("expired", Tone.Bad) : key.Text("expires") is { Length: >= 10 } expires ? expires[..10] : Words.None,
                Words.Short(usage.Number("requests")), Words.Short(usage.Number("refusals")), Words.Short(usage.Number("input_tokens") + usage.Number("output_tokens")),
            ];
            grid.Add(terminal.HasRoom ? [key.Text("name"), key.Text("source"), .. cells] : [key.Text("name"), .. cells]);
        }

        terminal.Write(grid);
        if (data.Words("removed").ToList() is { Count: > 0 } removed)
        {
            terminal.Note($"Removed here though configured: {Words.List(removed)}.");
        }
    }
}
