using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>try</c>: real requests, and who answered them.</summary>
internal static class TryCommand
{
    private const int MostRequests = 10_000;

    public static Command Build(Globals globals, TimeProvider time)
    {
        var prompt = new Argument<string>("PROMPT") { Description = "What to ask" };
        var stream = new Option<bool>("--stream") { Description = "Have the answer streamed" };
        var count = new Option<int>("--count") { Description = "So many requests, one after the other; default 1", HelpName = "N", DefaultValueFactory = _ => 1 };
        var model = new Option<string>("--model") { Description = "Default: the first that the balancer lists", HelpName = "MODEL" };
        var key = new Option<string>("--client-key")
        {
            Description = "What clients present, or env:NAME. Default: ROADBALANCER_CLIENT_KEY. The admin key is never sent with a request",
            HelpName = "KEY",
        };
        var timeout = new Option<int>("--timeout") { Description = "For each request; default 300", HelpName = "SECONDS", DefaultValueFactory = _ => 300 };
        InRange(count, MostRequests);
        InRange(timeout, 86_400);
        var command = new Command("try", "Sends real requests and shows which backend answered; exit code 1 when one failed") { prompt, stream, count, model, key, timeout };
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var given = line.GetValue(key) ?? (Environment.GetEnvironmentVariable("ROADBALANCER_CLIENT_KEY") is { Length: > 0 } variable ? variable : null);
            if (!Secret.TryRead("--client-key", given, out var clientKey, out var problem))
            {
                return session.Terminal.Usage(problem, CommandTree.PathOf(command));
            }

            var trial = new Trial(session.Api, clientKey, TimeSpan.FromSeconds(line.GetValue(timeout)), time);
            var (name, unknown) = line.GetValue(model) is { } named ? (named, null) : await trial.FirstModelAsync(cancellationToken);
            return name is null ? session.Terminal.Fail(unknown!)
                : await RunAsync(session, trial, Body(name, line.GetValue(prompt)!, line.GetValue(stream)), line.GetValue(count), cancellationToken);
        }));
        return command;
    }

    private static void InRange(Option<int> option, int most) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && !(int.TryParse(token.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= 1 && number <= most))
        {
            result.AddError($"{option.Name}: '{token.Value}' is not a whole number from 1 to {most.ToString("#,0", CultureInfo.InvariantCulture)}.");
        }
    });

    private static JsonObject Body(string model, string prompt, bool isStream) => new()
    {
        ["model"] = model,
        ["stream"] = isStream,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt }),
    };

    private static async Task<int> RunAsync(Session session, Trial trial, JsonObject body, int count, CancellationToken cancellationToken)
    {
        var report = new TryReport(session, isSingle: count == 1);
        for (var number = 1; number <= count; number++)
        {
            try
            {
                report.Add(number, await trial.AskAsync(body, report.Hear, cancellationToken));
            }
            catch (OperationCanceledException)
            {
                // Ctrl-C: what has come until now is worth telling.
                break;
            }
        }

        return report.Close();
    }
}
