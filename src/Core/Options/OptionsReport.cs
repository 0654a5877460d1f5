using System.Text;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>Puts a load's outcome into words for the terminal and the log. No secret is in any of them.</summary>
internal static class OptionsReport
{
    /// <summary>All errors, one a line under a heading; empty without errors.</summary>
    public static string Errors(OptionsResult result)
    {
        if (result.Errors.IsEmpty)
        {
            return "";
        }

        var text = new StringBuilder(result.Errors.Length == 1 ? "The configuration has an error:\n" : $"The configuration has {result.Errors.Length} errors:\n");
        foreach (var error in result.Errors)
        {
            text.Append("  ").Append(error.ToString().ReplaceLineEndings("\n").Replace("\n", "\n  ", StringComparison.Ordinal).TrimEnd()).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>All warnings, one a line; empty without warnings.</summary>
    public static string Warnings(OptionsResult result) => string.Concat(result.Warnings.Select(warning => $"Warning: {warning}\n"));

    /// <summary>The line that announces the mode in force.</summary>
    public static string Mode(BalancerOptions options) => options.Mode switch
    {
        BalancingMode.SingleBackend => $"Mode: single backend without balancing; every request goes straight to {options.Backends[0].Name}",
        BalancingMode.SingleBackendBalanced => $"Mode: one backend with balancing; {options.Backends[0].Name} gets health checks, retries and metrics",
        _ => $"Mode: balancing over {options.Backends.Length} backends by {options.Strategy}",
    };

    /// <summary>One line for each backend: what it is and what is particular about it.</summary>
    public static IEnumerable<string> Backends(BalancerOptions options) => options.Backends.Select(Line);

    private static string Line(Backend backend)
    {
        var line = new StringBuilder($"{backend.Name}: {backend.BaseUrl.AbsoluteUri}, weight {backend.Weight}, priority {backend.Priority}, at most {backend.MaxConnections} requests");
        line.Append(backend.ApiKey is null ? ", no key" : backend.Auth == BackendAuth.ApiKey ? ", key as api-key" : backend.Auth == BackendAuth.None ? ", key unused" : ", key as bearer");
        Append(line, ", model ", backend.ModelName);
        Append(line, ", models ", string.Join(' ', backend.Models.Keys.Order(StringComparer.Ordinal).Take(10)));
        Append(line, ", tags ", string.Join(' ', backend.Tags.Order(StringComparer.Ordinal)));
        Append(line, ", headers ", string.Join(' ', backend.Headers.Select(header => header.Key)));
        return line.Append(backend.Enabled ? "" : ", disabled").Append(backend.Weight == 0 ? ", drained" : "").ToString();
    }

    private static void Append(StringBuilder line, string label, string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            line.Append(label).Append(text);
        }
    }
}
