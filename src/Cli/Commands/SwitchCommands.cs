using System.CommandLine;
using System.Text.Json;
using Roadbalancer.Cli.Api;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary>What is done to one backend without changing its configuration: <c>enable</c>, <c>disable</c>, <c>drain</c>, <c>restore</c>, <c>reset</c>, <c>health-check</c>.</summary>
internal static class SwitchCommands
{
    /// <summary>A probe may wait for a backend's timeouts.</summary>
    private static readonly TimeSpan LongestProbe = TimeSpan.FromSeconds(90);

    public static void AddTo(Command root, Globals globals)
    {
        root.Add(Build("enable", "Lets a backend take requests again, after disable and after drain", "enable"));
        root.Add(Build("disable", "Gives a backend no new requests, whatever the probes say", "disable"));
        root.Add(Build("drain", "Gives a backend no new requests; those in flight end", "drain", WriteInFlight));
        root.Add(Build("restore", "Takes back every change made here to a configured backend, its removal included", "restore"));
        root.Add(Build("reset", "Forgets a backend's failures and closes its circuit", "reset"));
        root.Add(HealthCheck(globals));

        Command Build(string name, string description, string action, Action<Terminal, JsonElement>? write = null)
        {
            var command = new Command(name, description);
            var backend = new NameArgument(command, "backend");
            command.SetAction(globals.With((session, line, cancellationToken) => session.ChangeAsync(
                HttpMethod.Post, $"backends/{backend.Read(line)}/{action}", null, cancellationToken, show: data => write?.Invoke(session.Terminal, data))));
            return command;
        }
    }

    private static void WriteInFlight(Terminal terminal, JsonElement data)
    {
        if (data.Member("backend").Member("metrics").Number("active_connections") is > 0 and var running)
        {
            terminal.Note($"{Words.Count(running)} requests are still running there; «{CommandTree.Name} metrics» tells when they have ended.");
        }
    }

    private static Command HealthCheck(Globals globals)
    {
        var command = new Command("health-check", "Probes a backend now; exit code 1 when it is not well");
        var name = new NameArgument(command, "backend");
        command.SetAction(globals.With(async (session, line, cancellationToken) =>
        {
            var reply = await session.Api.SendAsync(HttpMethod.Post, $"backends/{name.Read(line)}/health_check", null, cancellationToken, LongestProbe);
            if (reply.Problem is { } problem)
            {
                return session.Terminal.Fail(problem);
            }

            if (session.IsJson)
            {
                session.Terminal.WriteJson(reply.Data);
            }
            else
            {
                WriteProbe(session.Terminal, reply.Data);
            }

            return reply.Data.Flag("healthy") ? ExitCode.Done : ExitCode.Failed;
        }));
        return command;
    }

    private static void WriteProbe(Terminal terminal, JsonElement probe) => terminal.Write(Grid.Facts()
        .Add("backend", probe.Text("name"))
        .Add("healthy", new Cell(Words.YesNo(probe.Flag("healthy")), probe.Flag("healthy") ? Tone.Good : Tone.Bad))
        .Add("outcome", probe.Text("outcome"))
        .Add("status code", Words.Value(probe.Member("status_code")))
        .Add("time", Words.Duration(probe.Number("response_time")))
        .Add("detail", probe.Text("detail"))
        .Add("status", new Cell(probe.Text("backend_status") ?? Words.None, Words.ToneOf(probe.Text("backend_status")))));
}
