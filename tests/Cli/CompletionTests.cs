namespace Roadbalancer.Tests.Cli;

/// <summary><c>completion</c>: the scripts, as shells run them.</summary>
public sealed class CompletionTests
{
    /// <summary>What Tab offers in bash for each line, one line of words each.</summary>
    private const string Probe = """
        source "$1" || exit 9
        shift
        for line in "$@"; do
            read -ra COMP_WORDS <<< "$line"
            [[ $line == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            COMPREPLY=()
            _roadbalancer
            echo "${COMPREPLY[*]}"
        done
        complete -p roadbalancer
        """;

    [Fact]
    public async Task Bash_SourcedScript_OffersWhatMayCome()
    {
        var script = await ScriptAsync("bash");

        var run = await CommandRun.StartAsync("bash",
        [
            "--norc", "-c", Probe, "bash", script, "roadbalancer st", "roadbalancer strategy ", "roadbalancer --server-url status ", "roadbalancer strategy set --str",
            "roadbalancer strategy set --strategy r", "roadbalancer manage add --ma", "roadbalancer add --url ", "roadbalancer config check /etc/hostn", "roadbalancer completion ",
            "roadbalancer status --js",
        ], []);

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal(
        [
            "status strategy", "get set",
            "status list metrics add update remove enable disable drain restore reset health-check strategy health-check-control history top events try keys config completion",
            "--strategy", "random response_time round_robin", "--max-connections --max-tokens", "", "/etc/hostname", "bash zsh fish pwsh", "--json",
            "complete -F _roadbalancer roadbalancer", "",
        ], run.Output.Split('\n'));
    }

    [Theory]
    [InlineData("zsh", "#compdef roadbalancer", "'least_connections")]
    [InlineData("fish", "complete -c roadbalancer", "-l strategy -x -a 'consistent_hash least_conn")]
    [InlineData("pwsh", "Register-ArgumentCompleter -Native -CommandName roadbalancer", "'--strategy' = @('consistent_hash'")]
    public async Task OtherShells_Script_HasEveryCommand(string shell, string head, string values)
    {
        var script = await File.ReadAllTextAsync(await ScriptAsync(shell), TestContext.Current.CancellationToken);

        Assert.Contains(head, script, StringComparison.Ordinal);
        Assert.Contains(values.Trim('\''), script, StringComparison.Ordinal);
        Assert.All(DocumentTests.Commands(), command => Assert.Contains(command.Split(' ')[^1], script, StringComparison.Ordinal));
        Assert.All(DocumentTests.Options(), option => Assert.Contains(shell == "fish" ? $"-l {option[2..]} " : option, script, StringComparison.Ordinal));
    }

    private static async Task<string> ScriptAsync(string shell)
    {
        var run = await CommandRun.WithAsync([], "completion", shell);
        Assert.Equal((0, ""), (run.Code, run.Error));
        var file = Path.Combine(AppContext.BaseDirectory, $"completion.{shell}");
        await File.WriteAllTextAsync(file, run.Output, TestContext.Current.CancellationToken);
        return file;
    }
}
