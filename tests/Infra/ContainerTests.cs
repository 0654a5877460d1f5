using System.Text.Json;
using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;
using YamlDotNet.Serialization;

namespace Roadbalancer.Tests.Infra;

/// <summary>Image, Compose file and unit start the program that there is, with settings that it knows, and with no more rights than it needs.</summary>
public sealed partial class ContainerTests
{
    private static readonly string Dockerfile = File.ReadAllText(Repository.PathOf("Dockerfile"));

    private static readonly string Unit = File.ReadAllText(Repository.PathOf("deploy", "roadbalancer.service"));

    private static readonly Dictionary<object, object> Compose =
        new DeserializerBuilder().Build().Deserialize<Dictionary<object, object>>(File.ReadAllText(Repository.PathOf("compose.yaml")));

    private static string Program { get; } =
        AssemblyName().Match(File.ReadAllText(Repository.PathOf("src", "Functions", "Functions.csproj"))).Groups[1].Value;

    private static HashSet<string> Known { get; } = SettingTable.Rows.SelectMany(row => new[] { row.Variable, row.VariableA, row.VariableB })
        .OfType<string>().Concat([Families.Backends, Families.Endpoints]).ToHashSet(StringComparer.Ordinal);

    [Fact]
    public void Dockerfile_LastStage_RunsTheProgramWithoutRights()
    {
        var stages = Dockerfile.Split("\nFROM ");
        var last = stages[^1];

        Assert.Equal(3, stages.Length);
        Assert.Contains("--self-contained", stages[1], StringComparison.Ordinal);
        Assert.Contains($"ENTRYPOINT [\"/app/{Program}\"]", last, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(last, "^USER ", RegexOptions.Multiline));
        Assert.Contains("USER $APP_UID\n", last, StringComparison.Ordinal);
        Assert.DoesNotMatch(":latest|(?m)^ADD ", Dockerfile);
        Assert.All(Variables().Matches(last).Select(match => match.Groups[1].Value), variable => Assert.Contains(variable, Known));
    }

    [Fact]
    public async Task HealthCheck_OfTheImage_TellsServingFromGone()
    {
        var command = JsonSerializer.Deserialize<string[]>(HealthCommand().Match(Dockerfile).Groups[1].Value)!;
        var balancer = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("unasked")], HealthCheckEnabled = false });
        var environment = new Dictionary<string, string?> { ["PORT"] = $"{balancer.Url.Port}" };

        await using var serving = ChildProcess.Start(command[0], command[1..], Repository.Root, environment);
        Assert.Equal(0, await serving.ExitCodeAsync(TimeSpan.FromSeconds(30)));
        await balancer.DisposeAsync();
        await using var gone = ChildProcess.Start(command[0], command[1..], Repository.Root, environment);
        Assert.NotEqual(0, await gone.ExitCodeAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void DockerIgnore_WhatThePublishStepNeeds_IsLetIn()
    {
        var letIn = File.ReadAllLines(Repository.PathOf(".dockerignore")).Where(line => line.StartsWith('!')).Select(line => line[1..].TrimEnd('/'));

        Assert.Empty(new[] { "src", "BannedSymbols.txt", "Directory.Build.props", "Directory.Packages.props", "global.json" }.Except(letIn));
    }

    [Fact]
    public void Compose_Services_AreTheThreeAndOnLoopbackOnly()
    {
        var services = Map(Compose["services"]);

        Assert.Equal(["azurite", "balancer", "redis"], services.Keys.Cast<string>().Order(StringComparer.Ordinal));
        Assert.All(services.Values.Select(Map).SelectMany(service => (List<object>)service["ports"]), port => Assert.StartsWith("127.0.0.1:", (string)port, StringComparison.Ordinal));
        Assert.All(services.Values.Select(Map).Where(service => service.ContainsKey("image")), service => Assert.Matches(":[0-9.]+$", (string)service["image"]));
    }

    [Fact]
    public void Compose_Balancer_StartsWithWhatItIsGiven()
    {
        var balancer = Map(Map(Compose["services"])["balancer"]);
        var environment = Map(balancer["environment"]).ToDictionary(pair => (string)pair.Key, pair => (string)pair.Value);
        var command = ((List<object>)balancer["command"]).Cast<string>().ToArray();

        Assert.Empty(environment.Keys.Except(Known));
        Assert.StartsWith("redis:", environment["REDIS_CONNECTION"], StringComparison.Ordinal);
        Assert.Empty(CommandLine.Parse(command).Errors);
        Assert.True(CommandLine.Parse(command).Demo);
        Assert.Contains("/var/lib/roadbalancer/config.yaml", File.ReadAllText(Repository.PathOf("compose.yaml")), StringComparison.Ordinal);
        Assert.Contains("WORKDIR /var/lib/roadbalancer\n", Dockerfile, StringComparison.Ordinal);
    }

    [Fact]
    public void Unit_Start_IsTheProgramWithOptionsThatItHas()
    {
        var start = Start().Match(Unit).Groups[1].Value.Split(' ');

        Assert.Equal($"/opt/roadbalancer/{Program}", start[0]);
        Assert.Empty(CommandLine.Parse(start[1..]).Errors);
        Assert.All(Sections(), line => Assert.Matches(@"^(?:\[[A-Z][a-z]+\]|[A-Z][A-Za-z]+=.*|#.*|)$", line));
        string[] needed = ["DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "StateDirectory=roadbalancer", "RestartPreventExitStatus=2"];
        Assert.Empty(needed.Except(Sections()));
        Assert.DoesNotContain("MemoryDenyWriteExecute=yes", Sections());
    }

    private static string[] Sections() => Unit.TrimEnd('\n').Split('\n');

    private static Dictionary<object, object> Map(object value) => (Dictionary<object, object>)value;

    [GeneratedRegex("<AssemblyName>(.+)</AssemblyName>")]
    private static partial Regex AssemblyName();

    [GeneratedRegex("^(?:ENV|   ) ([A-Z_]+)=", RegexOptions.Multiline)]
    private static partial Regex Variables();

    [GeneratedRegex(@"HEALTHCHECK[^\[]*(\[.*\])\n")]
    private static partial Regex HealthCommand();

    [GeneratedRegex("^ExecStart=(.+)$", RegexOptions.Multiline)]
    private static partial Regex Start();
}
