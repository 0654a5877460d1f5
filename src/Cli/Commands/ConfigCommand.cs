using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Roadbalancer.Cli.Display;
using Roadbalancer.Options;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>config check</c>: what the balancer would say of a file, without starting it.</summary>
internal static class ConfigCommand
{
    /// <summary>Variables of this command, which are not the balancer's.</summary>
    private static readonly string[] Own = ["ROADBALANCER_URL", "ROADBALANCER_ADMIN_KEY", "ROADBALANCER_CLIENT_KEY"];

    public static Command Build(Globals globals)
    {
        var file = new Argument<string>("FILE") { Description = "YAML or JSON" };
        var check = new Command("check", "Reads a configuration file with this shell's environment and tells every error in it") { file };
        check.SetAction(line => Check(globals.Terminal, line.GetValue(file)!, globals.IsJson(line)));
        return new Command("config", "Configuration files") { check };
    }

    private static int Check(Terminal terminal, string file, bool isJson)
    {
        var environment = OptionsLoader.ProcessEnvironment();
        Array.ForEach(Own, name => environment.Remove(name));
        var loaded = new OptionsLoader(environment, Options.CommandLine.Parse(["--config", file]), Environment.CurrentDirectory).Load();
        if (isJson)
        {
            using var json = JsonDocument.Parse(ToJson(loaded).ToJsonString());
            terminal.WriteJson(json.RootElement);
            return loaded.IsValid ? ExitCode.Done : ExitCode.Failed;
        }

        foreach (var line in OptionsReport.Warnings(loaded).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            terminal.Note(line);
        }

        if (!loaded.IsValid)
        {
            foreach (var line in OptionsReport.Errors(loaded).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                terminal.Note(line);
            }

            return ExitCode.Failed;
        }

        terminal.Write($"{file} is valid. {OptionsReport.Mode(loaded.Options)}");
        foreach (var backend in OptionsReport.Backends(loaded.Options))
        {
            terminal.Write("  " + backend);
        }

        return ExitCode.Done;
    }

    private static JsonObject ToJson(OptionsResult loaded) => new()
    {
        ["valid"] = loaded.IsValid,
        ["errors"] = new JsonArray([.. loaded.Errors.Select(error => new JsonObject
        {
            ["key"] = error.Key, ["value"] = error.Value, ["problem"] = error.Problem, ["location"] = error.Location,
        })]),
        ["warnings"] = new JsonArray([.. loaded.Warnings.Select(warning => (JsonNode)warning)]),
    };
}
