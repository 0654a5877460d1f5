using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>A configuration to load: a folder of its own with or without a file, variables, arguments.</summary>
internal sealed class Setup : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("roadbalancer-options-").FullName;

    public Dictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public List<string> Arguments { get; } = [];

    public string Folder => _folder;

    public string PathOf(string name) => Path.Combine(_folder, name);

    public static Setup With(params ReadOnlySpan<(string Name, string Value)> variables)
    {
        var setup = new Setup();
        foreach (var (name, value) in variables)
        {
            setup.Environment[name] = value;
        }

        return setup;
    }

    /// <summary>A configuration in a file, <c>config.yaml</c> in the working folder unless it is named.</summary>
    public static Setup Yaml(string text) => new Setup().File("config.yaml", text);

    public static Setup Json(string text)
    {
        var setup = new Setup().File("config.json", text);
        setup.Arguments.AddRange(["--config", "config.json"]);
        return setup;
    }

    public Setup File(string name, string text)
    {
        System.IO.File.WriteAllText(PathOf(name), text);
        return this;
    }

    public OptionsLoader Loader() => new(Environment, CommandLine.Parse(Arguments), _folder);

    public OptionsResult Load() => Loader().Load();

    /// <summary>Loads what must be valid.</summary>
    public BalancerOptions Options()
    {
        var result = Load();
        Assert.True(result.IsValid, OptionsReport.Errors(result));
        return result.Options;
    }

    /// <summary>Loads what must have exactly one error.</summary>
    public OptionsError Error()
    {
        var result = Load();
        Assert.False(result.IsValid);
        Assert.Null(result.Options);
        return Assert.Single(result.Errors);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
