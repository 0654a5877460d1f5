using System.CommandLine;
using Roadbalancer.Cli.Display;

namespace Roadbalancer.Cli.Commands;

/// <summary><c>completion</c>: a script that lets a shell complete this command's words.</summary>
internal static class CompletionCommand
{
    public static Command Build(Command root, Terminal terminal)
    {
        var command = new Command("completion", "Prints a script that completes this command's words in a shell")
        {
            Shell("bash", "source <(roadbalancer completion bash)", CompletionScripts.Bash),
            Shell("zsh", "source <(roadbalancer completion zsh)", CompletionScripts.Zsh),
            Shell("fish", "roadbalancer completion fish | source", CompletionScripts.Fish),
            Shell("pwsh", "roadbalancer completion pwsh | Out-String | Invoke-Expression", CompletionScripts.Pwsh),
        };
        return command;

        Command Shell(string name, string use, Func<IReadOnlyList<CompletionLevel>, string> script)
        {
            var shell = new Command(name, $"For {name}: {use}");
            shell.SetAction(_ =>
            {
                terminal.WriteRaw(script(CompletionLevel.All(root)).ReplaceLineEndings("\n"));
                return ExitCode.Done;
            });
            return shell;
        }
    }
}
