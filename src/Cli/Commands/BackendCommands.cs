using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Roadbalancer.Cli.Commands;

/// <summary>Backends that come, change and go: <c>add</c>, <c>update</c>, <c>remove</c>.</summary>
internal static class BackendCommands
{
    /// <summary>What the balancer itself allows for a drain.</summary>
    private const int LongestDrain = 180;

    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(15);

    public static void AddTo(Command root, Globals globals)
    {
        root.Add(Add(globals));
        root.Add(Update(globals));
        root.Add(Remove(globals));
    }

    private static Command Add(Globals globals)
    {
        var command = new Command("add", "Adds a backend, at every instance and for good");
        FieldOption[] fields = [new("--name", "name", FieldKind.Text, "What to call it; default: host and port", "NAME"), .. Fields()];
        var sets = Sets();
        Array.ForEach(fields, field => command.Add(field.Option));
        command.Add(sets);
        fields[1].Option.Required = true;
        command.SetAction(globals.With(async (session, line, cancellationToken) => Body(line, fields, sets, out var body) is { } problem
            ? session.Terminal.Usage(problem, CommandTree.PathOf(command))
            : await session.ChangeAsync(HttpMethod.Post, "backends", body, cancellationToken)));
        return command;
    }

    private static Command Update(Globals globals)
    {
        var command = new Command("update", "Changes a backend; what is not named stays");
        var name = new NameArgument(command, "backend");
        var (fields, sets) = (Fields().ToArray(), Sets());
        var unsets = new Option<string[]>("--unset")
        {
            Description = "A field that gets its configured value, or its default, again",
            HelpName = "FIELD",
            AllowMultipleArgumentsPerToken = true,
        };
        Array.ForEach(fields, field => command.Add(field.Option));
        command.Add(sets);
        command.Add(unsets);
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var problem = Body(line, fields, sets, out var body);
            foreach (var field in line.GetValue(unsets) ?? [])
            {
                body[field] = null;
            }

            problem ??= body.Count == 0 ? "Nothing to change is named." : null;
            return problem is null ? await session.ChangeAsync(HttpMethod.Patch, "backends/" + name.Read(line), body, cancellationToken)
                : session.Terminal.Usage(problem, CommandTree.PathOf(command));
        }));
        return command;
    }

    private static Command Remove(Globals globals)
    {
        var command = new Command("remove", "Takes a backend out; requests that it is serving end undisturbed");
        var name = new NameArgument(command, "backend");
        var drain = new Option<int>("--drain") { Description = $"First wait until its requests have ended, at most so long (0 to {LongestDrain})", HelpName = "SECONDS" };
        command.Add(drain);
        command.SetAction(globals.With((session, line, cancellationToken) =>
        {
            var seconds = line.GetValue(drain);
            var path = $"backends/{name.Read(line)}{(seconds == 0 ? "" : $"?drain={seconds}")}";
            return session.ChangeAsync(HttpMethod.Delete, path, null, cancellationToken, TimeSpan.FromSeconds(Math.Clamp(seconds, 0, LongestDrain)) + Margin);
        }));
        return command;
    }

    private static IEnumerable<FieldOption> Fields() =>
    [
        new("--url", "url", FieldKind.Text, "Its OpenAI base URL: http://host:8000", "URL"),
        new("--model-name", "model_name", FieldKind.Text, "The model that it serves, whatever is asked for", "MODEL"),
        new("--backend-api-key", "api_key", FieldKind.Secret, "The key that it wants, or env:NAME for one in a variable of this shell", "KEY"),
        new("--weight", "weight", FieldKind.Number, "Its share; 0: no new requests"),
        new("--max-connections", "max_connections", FieldKind.Number, "Requests at once"),
        new("--timeout", "timeout", FieldKind.Number, "For an answer", "SECONDS"),
        new("--priority", "priority", FieldKind.Number, "Lower ones come first"),
        new("--tags", "tags", FieldKind.Words, "Words that requests can ask for, with blanks or commas between", "TAG"),
        new("--max-tokens", "max_tokens", FieldKind.Number, "Where a request says nothing"),
        new("--temperature", "temperature", FieldKind.Number, "Where a request says nothing"),
    ];

    private static Option<string[]> Sets() => new("--set")
    {
        Description = "Any other field of the configuration, its value as JSON or as text: auth=api-key, headers={\"A\":\"b\"}",
        HelpName = "FIELD=VALUE",
    };

    /// <summary>What to send; returns the problem, or null.</summary>
    private static string? Body(ParseResult line, IEnumerable<FieldOption> fields, Option<string[]> sets, out JsonObject body)
    {
        body = [];
        foreach (var field in fields)
        {
            if (!field.TryApply(line, body, out var problem))
            {
                return problem;
            }
        }

        foreach (var set in line.GetValue(sets) ?? [])
        {
            if (set.IndexOf('=', StringComparison.Ordinal) is not (> 0 and var sign))
            {
                // What was given may be a secret: it is not repeated.
                return "--set: must be like FIELD=VALUE.";
            }

            body[set[..sign]] = ToNode(set[(sign + 1)..]);
        }

        return null;
    }

    private static JsonNode? ToNode(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return text;
        }
    }
}
