using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>history</c>: what was, a line a backend or a client key.</summary>
internal static class HistoryCommand
{
    /// <summary>What the columns beside the sparkline need.</summary>
    private const int OtherColumns = 54;

    private const int WidestSparkline = 60;

    public static Command Build(Globals globals, TimeProvider time)
    {
        var backend = new Option<string>("--backend") { Description = "Only this one", HelpName = "NAME" };
        var key = new Option<string>("--key") { Description = "Client keys instead: this one, or * for every one", HelpName = "NAME" };
        var from = Moment("--from", "The beginning: a time, Unix seconds, or how long ago (90m, 6h, 7d); default 24h");
        var to = Moment("--to", "The end, told in the same way; default now");
        var step = new Option<string>("--step") { Description = "How long each step is, in seconds or as 5m, 1h, 1d; default 1h", HelpName = "TIME" };
        step.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Seconds(token.Value) is null)
            {
                result.AddError($"--step: '{token.Value}' is not a duration like 300, 5m, 1h or 1d.");
            }
        });
        var command = new Command("history", "What was counted over time, with a sparkline of the requests for each backend or client key") { backend, key, from, to, step };
        command.Validators.Add(result =>
        {
            if (result.GetResult(backend) is not null && result.GetResult(key) is not null)
            {
                result.AddError("--key cannot stand beside --backend; ask for the one or the other.");
            }
        });
        command.SetAction(globals.With((session, line, cancellationToken) =>
        {
            var now = time.GetUtcNow();
            (string Name, string? Value)[] query =
            [
                ("backend", line.GetValue(backend)), ("key", line.GetValue(key)), ("from", Told(line.GetValue(from), now)), ("to", Told(line.GetValue(to), now)),
                ("step", line.GetValue(step) is { } text ? Seconds(text)?.ToString(CultureInfo.InvariantCulture) : null),
            ];
            var asked = string.Join('&', query.Where(pair => pair.Value is not null).Select(pair => $"{pair.Name}={Uri.EscapeDataString(pair.Value!)}"));
            return session.ShowAsync(asked.Length == 0 ? "history" : "history?" + asked, data => Write(session.Terminal, data, line.GetValue(key) is not null), cancellationToken);
        }));
        return command;
    }

    private static Option<string> Moment(string name, string description) => new(name) { Description = description, HelpName = "TIME" };

    /// <summary>A time as the balancer takes it; «how long ago» becomes a time.</summary>
    private static string? Told(string? text, DateTimeOffset now) => text is [.., 's' or 'm' or 'h' or 'd'] && Seconds(text) is { } ago
        ? now.AddSeconds(-ago).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)
        : text;

    private static long? Seconds(string text)
    {
        var unit = text.Length == 0 ? 1 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3_600, 'd' => 86_400, _ => 0 };
        var digits = unit == 0 ? text : text[..^1];
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? (long)count * Math.Max(1, unit) : null;
    }

    private static void Write(Terminal terminal, JsonElement data, bool isOfKeys)
    {
        terminal.Write($"{Words.Moment(data.Text("from"))} to {Words.Moment(data.Text("to"))} UTC, in steps of {Words.Duration(data.Number("step"))}");
        terminal.Write(isOfKeys ? Keys(terminal, data) : Backends(terminal, data));
    }

    private static Grid Keys(Terminal terminal, JsonElement data)
    {
        var grid = new Grid(
            "KEY", Column.Number("REQ"), Column.Number("REFUSED"), Column.Number("TOKENS IN"), Column.Number("TOKENS OUT"), Column.Whole("REQUESTS OVER TIME"));
        foreach (var key in data.Items("keys"))
        {
            var points = key.Items("points").ToList();
            var refusals = Sum("refusals");
            grid.Add(
                key.Text("name"), Words.Short(Sum("requests")), new Cell(Words.Short(refusals), refusals > 0 ? Tone.Bad : Tone.Plain),
                Words.Short(Sum("input_tokens")), Words.Short(Sum("output_tokens")),
                new Cell(Sparkline.Draw(Requests(data, points, "requests"), Width(terminal)), Tone.Good));

            double Sum(string field) => points.Sum(point => point.Number(field) ?? 0);
        }

        return grid;
    }

    private static Grid Backends(Terminal terminal, JsonElement data)
    {
        var grid = new Grid(
            "BACKEND", Column.Number("REQ"), Column.Number("FAIL"), Column.Number("OK"), Column.Number("MEAN"), Column.Number("TOKENS"), Column.Number("TRIPS"), Column.Whole("REQUESTS OVER TIME"));
        foreach (var backend in data.Items("backends"))
        {
            var points = backend.Items("points").ToList();
            var (successes, failures) = (Sum("successful_requests"), Sum("failed_requests"));
            var time = points.Sum(point => (point.Number("average_response_time") ?? 0) * (point.Number("successful_requests") ?? 0));
            grid.Add(
                backend.Text("name"), Words.Short(Sum("total_requests")), new Cell(Words.Short(failures), failures > 0 ? Tone.Bad : Tone.Plain),
                Words.Ratio(successes + failures == 0 ? null : successes / (successes + failures)), Words.Measured(successes == 0 ? null : time / successes),
                Words.Short(Sum("input_tokens") + Sum("output_tokens")), Words.Count(Trips(backend)),
                new Cell(Sparkline.Draw(Requests(data, points, "total_requests"), Width(terminal)), Tone.Good));

            double Sum(string field) => points.Sum(point => point.Number(field) ?? 0);
        }

        return grid;
    }

    private static int Width(Terminal terminal) => Math.Clamp(terminal.Width - OtherColumns, 12, WidestSparkline);

    private static double? Trips(JsonElement backend) => backend.Items("trips").Sum(trip => trip.Number("count") ?? 0);

    /// <summary>Requests step by step, those without any included.</summary>
    private static List<double> Requests(JsonElement data, IEnumerable<JsonElement> points, string field)
    {
        if (!TryTime(data.Text("from"), out var from) || !TryTime(data.Text("to"), out var to) || data.Number("step") is not (> 0 and var step))
        {
            return [.. points.Select(point => point.Number(field) ?? 0)];
        }

        // A point's time is the beginning of its step, which may lie a little before what was asked for.
        var steps = new double[Math.Clamp((int)Math.Ceiling((to - from).TotalSeconds / step), 1, 10_000)];
        foreach (var point in points)
        {
            if (TryTime(point.Text("time"), out var at))
            {
                steps[Math.Clamp((int)Math.Floor((at - from).TotalSeconds / step), 0, steps.Length - 1)] += point.Number(field) ?? 0;
            }
        }

        return [.. steps];
    }

    private static bool TryTime(string? text, out DateTimeOffset time) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
}
