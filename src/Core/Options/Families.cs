using System.Collections.Immutable;

namespace Roadbalancer.Options;

/// <summary>
/// The two sets of environment variables that users come with. Family B's backends win over family A altogether, so that no setting of
/// the one is applied to the backends of the other; what was ignored is said.
/// </summary>
internal static class Families
{
    /// <summary>Family B: a JSON array of backends.</summary>
    public const string Backends = "LLM_BACKENDS";

    /// <summary>Family B: a single backend's URL, with <see cref="SingleKeys"/> beside it.</summary>
    public const string SingleUrl = "VLLM_SERVER_URL";

    /// <summary>Family A: a comma list of URLs, with <see cref="PositionalKeys"/> beside it.</summary>
    public const string Endpoints = "LLM_ENDPOINTS";

    /// <summary>Family A's lists by position and the backend key that each is.</summary>
    public static readonly ImmutableArray<(string Variable, string Key)> PositionalKeys =
    [
        ("LLM_API_KEYS", "api_key"), ("LLM_WEIGHTS", "weight"), ("LLM_MAX_TOKENS", "max_tokens"), ("LLM_TEMPERATURES", "temperature"),
    ];

    /// <summary>Family B's variables for a single backend and the backend key that each is.</summary>
    public static readonly ImmutableArray<(string Variable, string Key)> SingleKeys = [("MODEL_NAME", "model_name"), ("API_KEY", "api_key")];

    /// <summary>The variable of family B that brings backends; null when neither is set.</summary>
    public static string? BackendsOfB(Binding binding) => binding.Has(Backends) ? Backends : binding.Has(SingleUrl) ? SingleUrl : null;

    /// <summary>Applies the variables of every row of the table, family B's over family A's, and warns of what that leaves unread.</summary>
    public static void ApplyVariables(OptionsDraft draft, Binding binding)
    {
        var winner = BackendsOfB(binding);
        var ignored = winner is null ? [] : binding.Present(PositionalKeys.Select(list => list.Variable).Prepend(Endpoints));
        foreach (var row in SettingTable.Rows)
        {
            Apply(row, row.Variable, draft, binding);
            if (row.VariableA is { } a && winner is null && !(row.VariableB is { } rival && binding.Has(rival)))
            {
                Apply(row, a, draft, binding);
            }
            else if (row.VariableA is { } unread && binding.Has(unread))
            {
                ignored.Add(unread);
            }

            Apply(row, row.VariableB, draft, binding);
        }

        if (ignored.Count > 0)
        {
            binding.Warn($"ignored: {string.Join(", ", ignored)}, because {winner ?? "a variable for the same setting"} is set and wins");
        }

        WarnOfUnread(binding, winner);
    }

    /// <summary>A value from a variable, under the variable's name.</summary>
    public static SettingReader Reader(string variable, string value, Binding binding) => new(SettingNode.Scalar(value), variable, null, binding);

    private static void Apply(Setting row, string? variable, OptionsDraft draft, Binding binding)
    {
        if (variable is not null && binding.TryVariable(variable, out var value))
        {
            row.Apply(draft, Reader(variable, value, binding));
        }
    }

    private static void WarnOfUnread(Binding binding, string? winner)
    {
        if (winner == Backends && binding.Has(SingleUrl))
        {
            binding.Warn($"ignored: {string.Join(", ", binding.Present(SingleKeys.Select(key => key.Variable).Prepend(SingleUrl)))}, because {Backends} is set and wins");
        }

        if (winner is null && !binding.Has(Endpoints) && binding.Present(PositionalKeys.Select(list => list.Variable)) is { Count: > 0 } lists)
        {
            binding.Warn($"ignored: {string.Join(", ", lists)}, because {Endpoints} is not set");
        }

        const string prefix = "ROADBALANCER_";
        var known = SettingTable.Rows.Select(row => row.Variable).OfType<string>().Append(prefix + "CONFIG").ToHashSet(StringComparer.Ordinal);
        foreach (var variable in binding.Variables.Where(name => name.StartsWith(prefix, StringComparison.Ordinal) && !known.Contains(name)))
        {
            // Not an error: other parts of the program, and other programs, may have variables of this name. A near miss is worth a word.
            if (KeyText.Nearest(variable[prefix.Length..], known.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Select(name => name[prefix.Length..])) is { } near)
            {
                binding.Warn($"{KeyText.Path(variable)} is not known; did you mean {prefix}{near}?");
            }
        }
    }
}
