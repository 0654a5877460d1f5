using System.CommandLine;
using System.CommandLine.Completions;

namespace Roadbalancer.Cli.Commands;

/// <summary>A word that may come, and what it does.</summary>
/// <param name="Text">Itself.</param>
/// <param name="Description">One sentence.</param>
/// <param name="TakesValue">Whether another word belongs to it.</param>
/// <param name="Values">The values that are known beforehand; may be empty.</param>
internal sealed record CompletionWord(string Text, string Description, bool TakesValue, IReadOnlyList<string> Values);

/// <summary>What may come behind the words of one command.</summary>
/// <param name="Path">Those words, without the program's name: <c>strategy set</c>; empty at the top.</param>
/// <param name="Commands">Commands below it.</param>
/// <param name="Options">Its options, the global ones included.</param>
/// <param name="TakesFile">Whether its argument is a file.</param>
internal sealed record CompletionLevel(string Path, IReadOnlyList<CompletionWord> Commands, IReadOnlyList<CompletionWord> Options, bool TakesFile)
{
    /// <summary>Every level of the tree, the top first.</summary>
    public static IReadOnlyList<CompletionLevel> All(Command root) => [.. Walk(root, "", [])];

    /// <summary>Every option that takes a value, at whatever level, once.</summary>
    public static IEnumerable<CompletionWord> Valued(IEnumerable<CompletionLevel> levels) =>
        levels.SelectMany(level => level.Options).Where(option => option.TakesValue).DistinctBy(option => option.Text);

    private static IEnumerable<CompletionLevel> Walk(Command command, string path, IReadOnlyList<Option> inherited)
    {
        var own = command.Options.Where(option => !option.Hidden).ToList();
        yield return new(
            path, [.. command.Subcommands.Where(below => !below.Hidden).Select(below => new CompletionWord(below.Name, below.Description ?? "", false, []))],
            [.. own.Concat(inherited).Select(Word)], command.Arguments.Any(argument => argument.Name == "FILE"));
        List<Option> handedDown = [.. inherited, .. own.Where(option => option.Recursive)];
        foreach (var level in command.Subcommands.Where(below => !below.Hidden).SelectMany(below => Walk(below, path.Length == 0 ? below.Name : $"{path} {below.Name}", handedDown)))
        {
            yield return level;
        }
    }

    private static CompletionWord Word(Option option)
    {
        var takesValue = option.Arity.MinimumNumberOfValues > 0;
        return new(
            option.Name, option.Description ?? "", takesValue,
            takesValue ? [.. option.GetCompletions(CompletionContext.Empty).Select(item => item.Label)] : []);
    }
}
