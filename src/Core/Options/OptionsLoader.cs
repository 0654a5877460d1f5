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
    /// <param name="currentDirectory">What a relative path is relative to, and where <c>config.yaml</c> is looked for.</param>
    public OptionsLoader(IReadOnlyDictionary<string, string> environment, CommandLine commandLine, string currentDirectory)
    {
        _environment = environment;
        _commandLine = commandLine;
        _currentDirectory = currentDirectory;
    }

    /// <summary>Backends of <c>--demo</c>, behind the configured ones in every load, renamed where a name is taken.</summary>
    public ImmutableArray<Backend> DemoBackends { get; init; } = [];

    public OptionsResult Load()
    {
        var binding = new Binding(_environment);
        foreach (var error in _commandLine.Errors)
        {
            binding.Add(error);
        }

        binding.TryVariable("ROADBALANCER_CONFIG", out var named);
        var path = SettingsFile.Find(_commandLine.ConfigFile ?? named?.Trim(), _currentDirectory);
        var file = path is null ? null : SettingsFile.Read(path);
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
            FileContent = file?.Content ?? ReadOnlyMemory<byte>.Empty,
        };
    }

    private void ApplyCommandLine(OptionsDraft draft, Binding binding)
    {
        ReadOnlySpan<(string Option, string Key, string? Value)> overrides =
        [
            ("--strategy", "strategy", _commandLine.Strategy), ("--host", "host", _commandLine.Host), ("--port", "port", _commandLine.Port),
            ("--log-format", "log_format", _commandLine.LogFormat), ("--log-level", "log_level", _commandLine.LogLevel),
        ];
        foreach (var (option, key, value) in overrides)
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
        LogFormat = draft.LogFormat,
        LogLevel = draft.LogLevel,
    };
}
