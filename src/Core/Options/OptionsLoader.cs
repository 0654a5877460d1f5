using System.Collections.Immutable;
using Roadbalancer.Backends;

namespace Roadbalancer.Options;

/// <summary>
/// Reads the configuration from everywhere it may be: defaults, file, environment, command line; later wins. Finds every error in one
/// go and never throws for bad input. Each <see cref="Load"/> reads the file anew; environment and command line stay what they were.
/// </summary>
internal sealed class OptionsLoader
{
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly CommandLine _commandLine;
    private readonly string _currentDirectory;

    /// <param name="environment">All environment variables.</param>
    /// <param name="commandLine">The arguments; its errors become errors of the load.</param>
    /// <param name="currentDirectory">A full path: what a relative path is relative to, and where <c>config.yaml</c> is looked for.</param>
    public OptionsLoader(IReadOnlyDictionary<string, string> environment, CommandLine commandLine, string currentDirectory)
    {
        _environment = environment;
        _commandLine = commandLine;
        _currentDirectory = currentDirectory;
    }

    /// <summary>Backends of <c>--demo</c>, behind the configured ones in every load, renamed where a name is taken.</summary>
    public ImmutableArray<Backend> DemoBackends { get; init; } = [];

    /// <summary>What the platform in front of the program puts up with; null for none. Every load keeps below it.</summary>
    public HostLimits? Limits { get; init; }

    /// <summary>Settings in place of a file, from a program that has them in memory. No file is looked for then.</summary>
    public SettingsFile? Document { get; init; }

    /// <summary>This process's environment, for the constructor.</summary>
    public static Dictionary<string, string> ProcessEnvironment()
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            environment[(string)variable.Key] = (string?)variable.Value ?? "";
        }

        return environment;
    }

    /// <summary>Everything configured at this moment, or every error in it.</summary>
    public OptionsResult Load()
    {
        var binding = new Binding(_environment);
        foreach (var error in _commandLine.Errors)
        {
            binding.Add(error);
        }

        binding.TryVariable("ROADBALANCER_CONFIG", out var variable);
        var named = _commandLine.ConfigFile ?? variable?.Trim();
        var found = Document is null ? SettingsFile.Find(named, _currentDirectory) : null;

        // The demo is to be the demo wherever it is started; a file that is named is meant.
        var isPassedOver = found is not null && _commandLine.Demo && string.IsNullOrEmpty(named);
        var path = isPassedOver ? null : found;
        var file = path is null ? Document : SettingsFile.Read(path);
        var draft = new OptionsDraft();
        var listInFile = file is null ? null : FileSettings.Apply(file, draft, binding);
        Families.ApplyVariables(draft, binding);
        ApplyCommandLine(draft, binding);

        var source = BackendSource.Choose(listInFile, binding);
        var backends = source is null ? [] : BackendNames.Build(source, draft.Times);
        var host = HostOf(draft, binding);
        var options = OptionsRules.Complete(draft, source, BackendNames.Append(backends, DemoBackends), host, file is { IsMap: false }, binding);
        binding.Close();
        var valid = binding.Errors.Count == 0;
        return new()
        {
            Options = valid ? options : null,
            Host = valid ? host : null,
            Errors = [.. binding.Errors],
            Warnings = [.. binding.Warnings],
            File = path,
            PassedOver = isPassedOver ? found : null,
            FileContent = file?.Content ?? ReadOnlyMemory<byte>.Empty,
        };
    }

    private void ApplyCommandLine(OptionsDraft draft, Binding binding)
    {
        Override("--strategy", "strategy", _commandLine.Strategy);
        Override("--host", "host", _commandLine.Host);
        Override("--port", "port", _commandLine.Port);
        Override("--log-format", "log_format", _commandLine.LogFormat);
        Override("--log-level", "log_level", _commandLine.LogLevel);

        void Override(string option, string key, string? value)
        {
            if (value is not null)
            {
                SettingTable.Find(key)!.Apply(draft, new(SettingNode.Scalar(value), option, null, binding));
            }
        }
    }

    private HostOptions HostOf(OptionsDraft draft, Binding binding) => new()
    {
        ListenUrls = Listening.Urls(_commandLine.Urls, draft, binding),
        BehindFunctionsHost = binding.Has(Listening.FunctionsPort),
        Limits = Limits,
        DataFolder = DataFolderOf(draft.Data, binding),
        LogFormat = draft.LogFormat,
        LogLevel = draft.LogLevel,
    };

    private string? DataFolderOf(string? written, Binding binding) =>
        binding.Has(Listening.FunctionsPort) || "off".Equals(written, StringComparison.OrdinalIgnoreCase) || (written is null && !DemoBackends.IsEmpty)
            ? null
            : Path.GetFullPath(written ?? "data", _currentDirectory);
}
