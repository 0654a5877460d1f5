using System.Text;

namespace Roadbalancer.Cli.Commands;

/// <summary>
/// Writes the completion scripts from the command tree. They are complete in themselves: no process is started for a Tab. All work alike: walk the
/// words so far to find the level, then offer its commands, or its options once a dash is typed or where it has no commands.
/// </summary>
internal static class CompletionScripts
{
    public static string Bash(IReadOnlyList<CompletionLevel> levels) => $$"""
        # bash completion for roadbalancer: source <(roadbalancer completion bash)
        _roadbalancer() {
            local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at="" word skip="" i commands="" options="" files=""
            COMPREPLY=()
            for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                if [[ -n $skip ]]; then skip=""; continue; fi
                case $word in {{Valued(levels)}}) skip=1; continue ;; esac
                case "${at:+$at }$word" in {{Paths(levels)}}) at="${at:+$at }$word" ;; esac
            done
            case $prev in
        {{Lines(levels, 8, word => $"{word.Text}) COMPREPLY=($(compgen -W \"{string.Join(' ', word.Values)}\" -- \"$cur\")); return ;;")}}
                {{Valued(levels)}}) return ;;
            esac
            case $at in
        {{string.Join('\n', levels.Select(level => $"        \"{level.Path}\") commands=\"{Join(level.Commands)}\"; options=\"{Join(level.Options)}\"{(level.TakesFile ? "; files=1" : "")} ;;"))}}
            esac
            if [[ $cur == -* || ( -z $commands && -z $files ) ]]; then
                COMPREPLY=($(compgen -W "$options" -- "$cur"))
            elif [[ -n $files ]]; then
                compopt -o filenames 2>/dev/null
                COMPREPLY=($(compgen -f -- "$cur"))
            else
                COMPREPLY=($(compgen -W "$commands" -- "$cur"))
            fi
        }
        complete -F _roadbalancer roadbalancer

        """;

    public static string Zsh(IReadOnlyList<CompletionLevel> levels) => $$"""
        #compdef roadbalancer
        # zsh completion for roadbalancer: source <(roadbalancer completion zsh), after compinit; or as _roadbalancer in a folder of $fpath
        _roadbalancer() {
            local at="" word skip="" i files=""
            local -a commands options
            for ((i = 2; i < CURRENT; i++)); do
                word=${words[i]}
                if [[ -n $skip ]]; then skip=""; continue; fi
                case $word in ({{Valued(levels)}}) skip=1; continue ;; esac
                case "${at:+$at }$word" in ({{Paths(levels)}}) at="${at:+$at }$word" ;; esac
            done
            case ${words[CURRENT-1]} in
        {{Lines(levels, 8, word => $"({word.Text}) compadd -- {string.Join(' ', word.Values)}; return ;;")}}
                ({{Valued(levels)}}) return ;;
            esac
            case $at in
        {{string.Join('\n', levels.Select(level => $"        (\"{level.Path}\") commands=({Described(level.Commands)}); options=({Described(level.Options)}){(level.TakesFile ? "; files=1" : "")} ;;"))}}
            esac
            if [[ ${words[CURRENT]} == -* || ( -z $commands && -z $files ) ]]; then
                _describe -o option options
            elif [[ -n $files ]]; then
                _files
            else
                _describe command commands
            fi
        }
        if [[ $funcstack[1] == _roadbalancer ]]; then _roadbalancer "$@"; else compdef _roadbalancer roadbalancer; fi

        """;

    public static string Fish(IReadOnlyList<CompletionLevel> levels)
    {
        var script = new StringBuilder($$"""
            # fish completion for roadbalancer: roadbalancer completion fish | source
            function __roadbalancer_at
                set -l at ''
                set -l skip ''
                set -l words (commandline -opc)
                for word in $words[2..-1]
                    if test -n "$skip"
                        set skip ''
                        continue
                    end
                    if contains -- $word {{string.Join(' ', CompletionLevel.Valued(levels).Select(word => word.Text))}}
                        set skip 1
                        continue
                    end
                    set -l next (string trim -- "$at $word")
                    if contains -- $next {{string.Join(' ', levels.Skip(1).Select(level => $"'{level.Path}'"))}}
                        set at $next
                    end
                end
                test "$at" = "$argv[1]"
            end
            complete -c roadbalancer -f

            """);
        foreach (var level in levels)
        {
            var condition = $"complete -c roadbalancer -n '__roadbalancer_at \"{level.Path}\"'";
            foreach (var command in level.Commands)
            {
                script.Append($"{condition} -a {command.Text} -d {Quoted(command.Description)}\n");
            }

            foreach (var option in level.Options)
            {
                var values = option.Values.Count > 0 ? $" -a '{string.Join(' ', option.Values)}'" : "";
                script.Append($"{condition} -l {option.Text[2..]}{(option.TakesValue ? " -x" : "")}{values} -d {Quoted(option.Description)}\n");
            }

            script.Append(level.TakesFile ? $"{condition} -F\n" : "");
        }

        return script.ToString();
    }

    public static string Pwsh(IReadOnlyList<CompletionLevel> levels) => $$"""
        # PowerShell completion for roadbalancer: roadbalancer completion pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName roadbalancer -ScriptBlock {
            param($wordToComplete, $commandAst, $cursorPosition)
            $valued = @({{string.Join(", ", CompletionLevel.Valued(levels).Select(word => Quoted(word.Text)))}})
            $values = @{
        {{Lines(levels, 8, word => $"{Quoted(word.Text)} = @({string.Join(", ", word.Values.Select(Quoted))})")}}
            }
            $levels = @{
        {{string.Join('\n', levels.Select(level => $"        {Quoted(level.Path)} = @(@({QuotedWords(level.Commands)}), @({QuotedWords(level.Options)}))"))}}
            }
            $at = ''
            $previous = ''
            foreach ($element in @($commandAst.CommandElements | Select-Object -Skip 1)) {
                if ($element.Extent.EndOffset -ge $cursorPosition) { break }
                $word = $element.ToString()
                if (-not ($valued -contains $previous)) {
                    $next = "$at $word".Trim()
                    if ($levels.ContainsKey($next)) { $at = $next }
                }
                $previous = $word
            }
            $words = if ($values.ContainsKey($previous)) { $values[$previous] }
                elseif ($valued -contains $previous) { @() }
                elseif ($wordToComplete.StartsWith('-') -or $levels[$at][0].Count -eq 0) { $levels[$at][1] }
                else { $levels[$at][0] }
            $words | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
                [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
            }
        }

        """;

    private static string Valued(IReadOnlyList<CompletionLevel> levels) => string.Join('|', CompletionLevel.Valued(levels).Select(word => word.Text));

    private static string Paths(IReadOnlyList<CompletionLevel> levels) => string.Join('|', levels.Skip(1).Select(level => $"\"{level.Path}\""));

    private static string Join(IEnumerable<CompletionWord> words) => string.Join(' ', words.Select(word => word.Text));

    /// <summary>One line for each option whose values are known.</summary>
    private static string Lines(IReadOnlyList<CompletionLevel> levels, int indent, Func<CompletionWord, string> line) =>
        string.Join('\n', CompletionLevel.Valued(levels).Where(word => word.Values.Count > 0).Select(word => new string(' ', indent) + line(word)));

    /// <summary>As zsh's <c>_describe</c> takes them, a colon between word and description.</summary>
    private static string Described(IEnumerable<CompletionWord> words) =>
        string.Join(' ', words.Select(word => Quoted($"{word.Text}:{word.Description.Replace(":", "\\:", StringComparison.Ordinal)}")));

    private static string QuotedWords(IEnumerable<CompletionWord> words) => string.Join(", ", words.Select(word => Quoted(word.Text)));

    /// <summary>In single quotes, which all four shells have; a quote in it becomes a typographic one.</summary>
    private static string Quoted(string text) => $"'{text.Replace('\'', '’').ReplaceLineEndings(" ")}'";
}
