using System.Diagnostics.CodeAnalysis;

namespace Roadbalancer.Cli;

/// <summary>A key as it is given on the command line: itself, or <c>env:NAME</c>, which other users of the machine do not see in the list of processes.</summary>
internal static class Secret
{
    /// <summary>Reads <paramref name="given"/>; false with a <paramref name="problem"/>, which never contains the key. Null stays null.</summary>
    public static bool TryRead(string option, string? given, out string? secret, [NotNullWhen(false)] out string? problem)
    {
        (secret, problem) = (given, null);
        if (given is null)
        {
            return true;
        }

        if (given.StartsWith("env:", StringComparison.Ordinal))
        {
            secret = Environment.GetEnvironmentVariable(given[4..])?.Trim();
            problem = string.IsNullOrEmpty(secret) ? $"{option}: the variable {given[4..]} is not set." : null;
        }

        if (problem is null && (secret!.Length == 0 || secret.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0))
        {
            problem = $"{option}: is empty or has characters that a key cannot have.";
        }

        return problem is null;
    }
}
