using System.Diagnostics.CodeAnalysis;

namespace Roadbalancer.Options;

/// <summary>What one load has found so far, and the environment that it reads.</summary>
internal sealed class Binding(IReadOnlyDictionary<string, string> environment)
{
    private int _unreported;

    public List<OptionsError> Errors { get; } = [];

    public List<string> Warnings { get; } = [];

    /// <summary>The names of all environment variables.</summary>
    public IEnumerable<string> Variables => environment.Keys;

    /// <summary>The variable's value; false when it is unset or blank, which compose files and shells do not tell apart.</summary>
    public bool TryVariable(string name, [NotNullWhen(true)] out string? value) =>
        environment.TryGetValue(name, out value) && !string.IsNullOrWhiteSpace(value);

    public bool Has(string variable) => TryVariable(variable, out _);

    /// <summary>Which of <paramref name="variables"/> are set.</summary>
    public List<string> Present(IEnumerable<string> variables) => [.. variables.Where(Has)];

    public void Add(OptionsError error)
    {
        if (Errors.Count < SettingLimits.Errors)
        {
            Errors.Add(error);
        }
        else
        {
            _unreported++;
        }
    }

    /// <summary>Warns, once, however often the same is found.</summary>
    public void Warn(string warning)
    {
        if (Warnings.Count < SettingLimits.Errors && !Warnings.Contains(warning))
        {
            Warnings.Add(warning);
        }
    }

    /// <summary>Adds the line that says how many errors were not listed.</summary>
    public void Close()
    {
        if (_unreported > 0)
        {
            Errors.Add(new("…", null, $"{_unreported} further errors"));
            _unreported = 0;
        }
    }
}
