using System.CommandLine;
using System.Text.RegularExpressions;
using Roadbalancer.Cli;
using Roadbalancer.Cli.Display;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary>docs/command-line.md and <c>--help</c> against the tree of commands.</summary>
public sealed partial class DocumentTests
{
    private static readonly Command Root = CommandTree.Build(new Terminal(TextWriter.Null, TextWriter.Null, false, false, () => 80), TimeProvider.System);

    private static readonly string Document = File.ReadAllText(Repository.PathOf("docs", "command-line.md"));

    /// <summary>Every command that does something: <c>strategy set</c>.</summary>
    public static IReadOnlyList<string> Commands() => [.. Leaves(Root).Select(command => CommandTree.PathOf(command)["roadbalancer ".Length..])];

    /// <summary>Every option of any command, once.</summary>
    public static IReadOnlyList<string> Options() => [.. All(Root).SelectMany(command => command.Options).Select(option => option.Name).Distinct()];

    [Fact]
    public void Document_ItsTables_NameEveryCommandAndNoOther()
    {
        var told = Rows().Matches(Document).Select(row => row.Groups[1].Value.Split(' ').TakeWhile(word => char.IsAsciiLetterLower(word[0])))
            .Select(words => string.Join(' ', words)).Where(words => words.Length > 0);

        Assert.Equal(Commands().Order(StringComparer.Ordinal), told.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Document_ItsText_NamesEveryOptionAndNoOther()
    {
        var told = Option().Matches(Document).Select(match => match.Value).Where(option => option is not ("--demo" or "--port" or "--project" or "--global" or "--add-source" or "--tool-path"))
            .Distinct();

        Assert.Equal(Options().Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Help_OfEveryCommand_ShowsItsOptions()
    {
        foreach (var command in All(Root))
        {
            var help = new StringWriter();
            var words = CommandTree.PathOf(command).Split(' ').Skip(1);
            Assert.Equal(0, await Root.Parse([.. words, "--help"]).InvokeAsync(new InvocationConfiguration { Output = help }, TestContext.Current.CancellationToken));
            Assert.All(command.Options.Concat(Root.Options.Where(option => option.Recursive)), option => Assert.Contains(option.Name, help.ToString(), StringComparison.Ordinal));
            Assert.All(command.Subcommands, below => Assert.Contains(below.Name, help.ToString(), StringComparison.Ordinal));
            Assert.False(string.IsNullOrWhiteSpace(command.Description), command.Name);
        }
    }

    private static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);

    private static IEnumerable<Command> Leaves(Command command) => command.Subcommands.Count == 0 ? [command] : command.Subcommands.SelectMany(Leaves);

    [GeneratedRegex(@"^\| `([^`]+)`", RegexOptions.Multiline)]
    private static partial Regex Rows();

    [GeneratedRegex(@"(?<![\w-])--[a-z][a-z-]+")]
    private static partial Regex Option();
}
