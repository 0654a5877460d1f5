using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Processes;

/// <summary>What the README says, done as it says.</summary>
public sealed partial class ReadmeTests
{
    private const int DefaultPort = 5000;

    private static readonly string Text = File.ReadAllText(Repository.PathOf("README.md"));

    [Fact]
    public async Task Start_TwoCommandsAsTheyStand_StreamAnAnswer()
    {
        var blocks = Blocks("sh");
        var (start, ask) = (blocks[0], blocks[1]);
        Assert.Equal("dotnet run --project src/Functions -- --demo", start.Trim());
        var environment = ProgramProcess.CleanEnvironment(("Configuration", BuiltAs()));
        if (!IsFree(DefaultPort))
        {
            // Somebody else has the port: all but its number stays as it stands.
            var free = FreePort();
            environment["PORT"] = $"{free}";
            ask = ask.Replace($":{DefaultPort}/", $":{free}/", StringComparison.Ordinal);
        }

        await using var demo = ChildProcess.Start("bash", ["-c", "exec " + start], Repository.Root, environment);
        await demo.SaysAsync("the base URL for OpenAI clients is", TimeSpan.FromSeconds(180));
        await using var curl = ChildProcess.Start("bash", ["-c", ask], Repository.Root);

        Assert.Equal(0, await curl.ExitCodeAsync(TimeSpan.FromSeconds(60)));
        Assert.Contains("chat.completion.chunk", curl.Output, StringComparison.Ordinal);
        Assert.Contains("data: [DONE]", curl.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Configuration_FullExample_LoadsWithoutErrorOrWarning()
    {
        var result = Load(Assert.Single(Blocks("yaml")), ("TEAM_A_KEY", "a"), ("AZURE_KEY", "b"), ("OPENAI_KEY", "c"));

        Assert.Equal(("", ""), (OptionsReport.Errors(result), OptionsReport.Warnings(result)));
        Assert.Equal(3, result.Options!.Backends.Length);
    }

    [Fact]
    public void Configuration_ValuesCalledDefaults_AreTheDefaults()
    {
        // What the example sets on purpose to something else is said in its comments or belongs to a backend.
        string[] chosen = ["strategy", "api_keys", "endpoints"];
        var example = Blocks("yaml").Single();
        var lines = example.Split("\nendpoints:")[0].Split('\n').Where(line => !Array.Exists(chosen, key => line.StartsWith(key + ":", StringComparison.Ordinal)));

        var result = Load(string.Join('\n', lines) + "\nendpoints: [{url: 'http://a'}]");
        var defaults = Load("endpoints: [{url: 'http://a'}]");

        // A time that is written is one that backends inherit, even where it is the default: what they come to is compared below.
        Assert.Equal(
            defaults.Options! with { Backends = [], BackendDefaults = BackendDefaults.None },
            result.Options! with { Backends = [], BackendDefaults = BackendDefaults.None });
        Assert.Equal(defaults.Options!.Backends[0].FirstTokenTimeout, result.Options!.Backends[0].FirstTokenTimeout);
        Assert.Equal(defaults.Options.Backends[0].StreamIdleTimeout, result.Options.Backends[0].StreamIdleTimeout);
        Assert.Equal(defaults.Options.Backends[0].Timeout, result.Options.Backends[0].Timeout);
        Assert.Equal(defaults.Host!.ListenUrls, result.Host!.ListenUrls);
    }

    [Fact]
    public void Strategies_Table_HasEveryName() =>
        Assert.All(StrategyTable.Names, name => Assert.Contains($"`{name}`", Text, StringComparison.Ordinal));

    [Fact]
    public void Length_Whole_IsAPageOrThree() => Assert.InRange(Text.Split('\n').Length, 50, 151);

    private static OptionsResult Load(string yaml, params (string Name, string Value)[] environment)
    {
        var folder = Directory.CreateTempSubdirectory("roadbalancer-readme-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "config.yaml"), yaml);
            return new OptionsLoader(environment.ToDictionary(), CommandLine.Parse([]), folder.FullName).Load();
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string[] Blocks(string language) =>
        [.. Fenced().Matches(Text).Where(block => block.Groups[1].Value == language).Select(block => block.Groups[2].Value)];

    /// <summary>The configuration that the tests were built in, so that nothing is built twice.</summary>
    private static string BuiltAs() => AppContext.BaseDirectory.Contains("/Release/", StringComparison.Ordinal) ? "Release" : "Debug";

    private static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    [GeneratedRegex("```([a-z]+)\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Fenced();
}
