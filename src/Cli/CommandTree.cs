using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Roadbalancer.Cli.Commands;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli;

/// <summary>All commands, and how a line of arguments becomes one of them.</summary>
internal static class CommandTree
{
    /// <summary>What the command is called, however it was started.</summary>
    public const string Name = "roadbalancer";

    private const string Description = """
        Sees and steers a running Roadbalancer.

        Exit codes: 0 done, 1 failed, 2 not understood. A word «manage» in front of a command is taken for nothing, for scripts that have it.
        """;

    /// <summary>Runs what <paramref name="arguments"/> ask for; returns the exit code: 0 done, 1 failed, 2 not understood.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, Terminal terminal, TimeProvider time)
    {
        if (arguments is ["manage", ..])
        {
            arguments = [.. arguments.Skip(1)];
        }

        var root = Build(terminal, time);
        if (arguments.Count == 0)
        {
            await root.Parse(["--help"]).InvokeAsync();
            return ExitCode.Usage;
        }

        // A prompt may begin with @, which would otherwise name a file of arguments.
        var parsed = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false });
        if (parsed.Action is ParseErrorAction)
        {
            return terminal.Usage(ProblemOf(parsed), PathOf(parsed.CommandResult.Command));
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (IOException) when (Console.IsOutputRedirected)
        {
            // Whoever read the output, head for instance, has had enough.
            return ExitCode.Failed;
        }
    }

    /// <summary>The commands with their options; nothing runs yet.</summary>
    public static Command Build(Terminal terminal, TimeProvider time)
    {
        var root = new Command(Name, Description) { new HelpOption(), new VersionOption() };
        var globals = new Globals(terminal);
        globals.AddTo(root);
        ReportCommands.AddTo(root, globals);
        BackendCommands.AddTo(root, globals);
        SwitchCommands.AddTo(root, globals);
        SettingCommands.AddTo(root, globals);
        root.Add(HistoryCommand.Build(globals, time));
        root.Add(TopCommand.Build(globals, time));
        root.Add(EventsCommand.Build(globals, time));
        root.Add(TryCommand.Build(globals, time));
        root.Add(KeyCommands.Build(globals));
        root.Add(ConfigCommand.Build(globals));
        root.Add(CompletionCommand.Build(root, terminal));
        return root;
    }

    /// <summary>What is not understood. Of words that are not known only the first is told: behind a mistyped option comes its value, which may be a key.</summary>
    private static string ProblemOf(ParseResult parsed) => parsed.UnmatchedTokens is [var unknown, ..]
        ? $"'{unknown}' is not a known {(unknown.StartsWith('-') ? "option" : "command or argument")}."
        : string.Join(" ", parsed.Errors.Select(error => error.Message).Distinct());

    /// <summary>The words that call <paramref name="command"/>: <c>roadbalancer strategy set</c>.</summary>
    public static string PathOf(Command command) =>
        command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{PathOf(parent)} {command.Name}" : command.Name;
}

/// <summary>What the command ends with.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;

    /// <summary>By Ctrl-C in the middle of something, as shells count it: 128 and the signal's number.</summary>
    public const int Interrupted = 130;
}
