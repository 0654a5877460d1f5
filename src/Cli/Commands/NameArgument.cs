using System.CommandLine;

namespace Roadbalancer.Cli.Commands;

/// <summary>Which backend or key a command is about: an argument, or <c>--name</c> for scripts that have it so.</summary>
internal sealed class NameArgument
{
    private readonly Argument<string> _argument;
    private readonly Option<string> _option;

    public NameArgument(Command command, string what)
    {
        _argument = new("NAME") { Description = $"The {what}", Arity = ArgumentArity.ZeroOrOne };
        _option = new("--name") { Description = $"The {what}, in place of NAME", HelpName = "NAME" };
        command.Add(_argument);
        command.Add(_option);
        command.Validators.Add(result =>
        {
            var given = (result.GetResult(_argument)?.Tokens.Count ?? 0) + (result.GetResult(_option)?.Tokens.Count ?? 0);
            if (given != 1)
            {
                result.AddError(given == 0 ? $"The name of the {what} is missing." : $"The {what} is named twice.");
            }
        });
    }

    /// <summary>The name, escaped for a path.</summary>
    public string Read(ParseResult line) => Uri.EscapeDataString(line.GetValue(_option) ?? line.GetValue(_argument)!);
}
