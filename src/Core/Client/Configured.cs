using Roadbalancer.Options;

namespace Roadbalancer.Client;

/// <summary>Reads a balancer's options from what a program gives, by the very rules of the server's configuration.</summary>
internal static class Configured
{
    /// <param name="document">The settings; an empty map for none.</param>
    /// <param name="environment">The variables that count; see <see cref="References"/>.</param>
    /// <param name="parameter">What the caller passed, for the exception.</param>
    /// <param name="warnings">What was ignored, and what is allowed but probably not meant.</param>
    /// <exception cref="ArgumentException">The settings are not valid; the message tells every error.</exception>
    public static BalancerOptions Load(
        SettingsFile document, IReadOnlyDictionary<string, string> environment, string? parameter, out IReadOnlyList<string> warnings)
    {
        var result = new OptionsLoader(environment, CommandLine.Parse([]), Environment.CurrentDirectory) { Document = document }.Load();
        if (!result.IsValid)
        {
            throw new ArgumentException(OptionsReport.Errors(result).TrimEnd(), parameter);
        }

        warnings = result.Warnings;
        return InProcess(result.Options);
    }

    /// <summary>A document that is not in a file.</summary>
    /// <param name="origin">What messages call it.</param>
    public static SettingsFile Document(string origin, SettingNode root) => new(origin, [], root, null);

    /// <summary>
    /// This process's environment less the variables that are settings of a server, for programs that pass their settings themselves: what is left is
    /// there for <c>env:NAME</c>, and for the shared store (<c>REDIS_…</c>), which is a matter of the deployment.
    /// </summary>
    public static Dictionary<string, string> References()
    {
        var environment = Variables();
        foreach (var variable in SettingTable.Rows.SelectMany(row => new[] { row.Variable, row.VariableA, row.VariableB })
            .Concat([Families.Backends, Families.SingleUrl, Families.Endpoints])
            .Concat(Families.PositionalKeys.Select(key => key.Variable)))
        {
            if (variable is not null && !variable.StartsWith("REDIS_", StringComparison.Ordinal))
            {
                environment.Remove(variable);
            }
        }

        return environment;
    }

    /// <summary>This process's environment, less what is about a server's listening.</summary>
    public static Dictionary<string, string> Variables()
    {
        var environment = OptionsLoader.ProcessEnvironment();
        RemoveListening(environment);
        return environment;
    }

    /// <summary>Nothing listens in a library; what the program around it listens on is no concern of its.</summary>
    public static void RemoveListening(Dictionary<string, string> environment)
    {
        environment.Remove(Listening.FunctionsPort);
        environment.Remove("HOST");
        environment.Remove("PORT");
    }

    /// <summary>
    /// Inside a process there are no clients to tell apart, and nothing is forwarded without balancing: a single endpoint is counted and probed too,
    /// and another may be added at any time.
    /// </summary>
    public static BalancerOptions InProcess(BalancerOptions options) => options with
    {
        ClientKeys = [],
        DebugKeys = [],
        Mode = options.Backends.Length > 1 ? BalancingMode.Balanced : BalancingMode.SingleBackendBalanced,
    };
}
