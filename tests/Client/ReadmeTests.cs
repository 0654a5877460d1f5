using System.Text.RegularExpressions;
using Microsoft.Extensions.Configuration;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The package's README shows nothing that is not compiled and run.</summary>
public sealed partial class ReadmeTests : IAsyncLifetime
{
    private readonly List<RunningSimulation> _simulations = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        for (var number = 0; number < 3; number++)
        {
            _simulations.Add(await SimulatedBackend.StartAsync(new SimulatedBackend { Name = $"gpu{number + 1}" }, TimeProvider.System, Token));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var simulation in _simulations)
        {
            await simulation.DisposeAsync();
        }
    }

    [Fact]
    public void Examples_InTheReadme_AreTheOnesThatRun()
    {
        var written = ReadmeBlocks().Matches(File.ReadAllText(Repository.PathOf("src", "Core", "README.md")))
            .ToDictionary(match => match.Groups["name"].Value, match => match.Groups["code"].Value);
        var run = new[] { Repository.PathOf("tests", "Client", "ReadmeExamples.cs"), Repository.PathOf("samples", "Chat", "Program.cs") }
            .SelectMany(file => Regions().Matches(File.ReadAllText(file)))
            .ToDictionary(match => match.Groups["name"].Value, match => AsWritten(match.Groups["code"].Value, match.Groups["indent"].Length));

        Assert.Equal(run.Keys.Order(), written.Keys.Order());
        Assert.All(run, example => Assert.Equal(example.Value, written[example.Key]));
        Assert.Equal(written.Count, CodeFences().Count(File.ReadAllText(Repository.PathOf("src", "Core", "README.md"))));
    }

    [Fact]
    public Task QuickStart_SimulatedEndpoints_Runs() => ReadmeExamples.QuickStart(Url(0), Url(1));

    [Fact]
    public Task Handler_SimulatedEndpoints_Runs() => WithBalancer(ReadmeExamples.Handler);

    [Fact]
    public Task Stream_SimulatedEndpoints_Runs() => WithBalancer(ReadmeExamples.Stream);

    [Fact]
    public Task Tools_SimulatedEndpoints_Runs() => WithBalancer(ReadmeExamples.Tools);

    [Fact]
    public Task Embed_SimulatedEndpoints_Runs() => WithBalancer(ReadmeExamples.Embed);

    [Fact]
    public Task Synchronous_SimulatedEndpoints_Runs() => WithBalancer(balancer => Task.Run(() => ReadmeExamples.Synchronous(balancer), Token));

    [Fact]
    public Task Endpoints_SimulatedEndpoints_Runs() => WithBalancer(balancer =>
    {
        Examples().Endpoints(balancer);
        return Task.CompletedTask;
    });

    [Fact]
    public Task Stats_SimulatedEndpoints_Runs() => WithBalancer(balancer =>
    {
        ReadmeExamples.Stats(balancer);
        return Task.CompletedTask;
    });

    [Fact]
    public async Task Settings_SimulatedEndpoints_Runs()
    {
        // No other test reads a variable of this name.
        Environment.SetEnvironmentVariable("AZURE_KEY", "key");
        await Examples().Settings();
    }

    [Fact]
    public async Task FromConfig_SimulatedEndpoints_Runs()
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-readme-");
        var file = Path.Combine(folder.FullName, "config.yaml");
        await File.WriteAllTextAsync(file, $"endpoints:\n  - url: {Url(0)}\n  - url: {Url(1)}\n", Token);
        try
        {
            await new ReadmeExamples(Url(0), Url(1), Url(2), file).FromConfig();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public Task Services_SimulatedEndpoints_Runs() => ReadmeExamples.Services(
        new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["Roadbalancer:Endpoints:0:Url"] = Url(0) }).Build());

    private static string AsWritten(string code, int indent)
    {
        var lines = code.Split('\n').Select(line => line.Length >= indent ? line[indent..] : line);
        var text = string.Join('\n', lines);
        return ReadmeExamples.Stand.Aggregate(text, (result, pair) => result.Replace(pair.Key, pair.Value, StringComparison.Ordinal));
    }

    private string Url(int index) => _simulations[index].BaseUrl.AbsoluteUri;

    private ReadmeExamples Examples() => new(Url(0), Url(1), Url(2), "");

    private async Task WithBalancer(Func<LoadBalancer, Task> example)
    {
        await using var balancer = new LoadBalancer([new(Url(0)), new(Url(1))], enableHealthCheck: false);
        await example(balancer);
    }

    [GeneratedRegex("<!-- example: (?<name>[a-z-]+) -->\n```csharp\n(?<code>.*?\n)```", RegexOptions.Singleline)]
    private static partial Regex ReadmeBlocks();

    [GeneratedRegex("(?<indent>[ ]*)// <example: (?<name>[a-z-]+)>\n(?<code>.*?\n)[ ]*// </example>", RegexOptions.Singleline)]
    private static partial Regex Regions();

    [GeneratedRegex("^```csharp$", RegexOptions.Multiline)]
    private static partial Regex CodeFences();
}
