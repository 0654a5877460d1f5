using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Options;

/// <summary>Which source of a setting wins.</summary>
public sealed class OptionsLoaderSourceTests
{
    private const string OneEndpoint = "endpoints: [{url: 'http://a:1'}]\n";

    [Fact]
    public void Load_NothingConfigured_ShowsShortestSettingsAndDemo()
    {
        using var setup = new Setup();
        var error = setup.Error();
        Assert.Contains("LLM_BACKENDS='[{\"url\":", error.Problem, StringComparison.Ordinal);
        Assert.Contains("LLM_ENDPOINTS=http", error.Problem, StringComparison.Ordinal);
        Assert.Contains("--demo", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ShortestSettingsOfTheMessage_AreValid()
    {
        foreach (var line in OptionsRules.NoBackend.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("LLM_", StringComparison.Ordinal)))
        {
            var parts = line.Split('=', 2);
            using var setup = Setup.With((parts[0], parts[1].Trim('\'')));
            Assert.Equal("localhost:8000", Assert.Single(setup.Options().Backends).Name);
        }
    }

    [Fact]
    public void Load_DefaultFileInFolder_IsPickedUp()
    {
        using var setup = Setup.Yaml(OneEndpoint);
        var result = setup.Load();
        Assert.Equal(setup.PathOf("config.yaml"), result.File);
        Assert.Equal(OneEndpoint, System.Text.Encoding.UTF8.GetString(result.FileContent.Span));
        Assert.Equal("a:1", result.Options!.Backends[0].Name);
    }

    [Fact]
    public void Load_NamedFiles_ArgumentOverVariableOverDefault()
    {
        using var setup = Setup.Yaml(OneEndpoint).File("b.yml", "endpoints: [{url: 'http://b:1'}]").File("c.conf", "{\"endpoints\": [{\"url\": \"http://c:1\"}]}");
        setup.Environment["ROADBALANCER_CONFIG"] = "b.yml";
        Assert.Equal("b:1", setup.Options().Backends[0].Name);
        setup.Arguments.Add("--config=c.conf");
        Assert.Equal("c:1", setup.Options().Backends[0].Name);
    }

    [Fact]
    public void Load_NamedFileMissing_IsTheOnlyError()
    {
        using var setup = Setup.Yaml(OneEndpoint);
        setup.Arguments.AddRange(["--config", "gone.yaml"]);
        var error = setup.Error();
        Assert.Equal("gone.yaml", error.Key);
        Assert.Contains("no such file", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NamedFileIsFolder_IsAnError()
    {
        using var setup = new Setup();
        setup.Arguments.AddRange(["--config", setup.Folder]);
        Assert.Contains("folder", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SettingInFileEnvironmentAndArguments_LaterWins()
    {
        var names = StrategyTable.Names.ToArray();
        using var setup = Setup.Yaml($"strategy: {names[0]}\nretry_count: 1\ncooldown: 7\nhost: 127.0.0.2\nport: 1\n{OneEndpoint}");
        Assert.Equal((names[0], 1, 7), (setup.Options().Strategy, setup.Options().RetryCount, setup.Options().Cooldown.TotalSeconds));
        Assert.Equal(["http://127.0.0.2:1"], setup.Load().Host!.ListenUrls);

        setup.Environment["LLM_STRATEGY"] = names[1];
        setup.Environment["MAX_RETRIES"] = "5";
        setup.Environment["ROADBALANCER_COOLDOWN"] = "0.25";
        setup.Environment["PORT"] = "2";
        Assert.Equal((names[1], 5, 0.25), (setup.Options().Strategy, setup.Options().RetryCount, setup.Options().Cooldown.TotalSeconds));
        Assert.Equal(["http://127.0.0.2:2"], setup.Load().Host!.ListenUrls);

        setup.Arguments.AddRange(["--strategy", names[0].ToUpperInvariant(), "--port=3"]);
        Assert.Equal(names[0], setup.Options().Strategy);
        Assert.Equal(["http://127.0.0.2:3"], setup.Load().Host!.ListenUrls);
    }

    [Fact]
    public void Load_BlankVariables_CountAsUnset()
    {
        using var setup = Setup.Yaml(OneEndpoint);
        foreach (var name in SettingTable.Rows.SelectMany(row => new[] { row.Variable, row.VariableA, row.VariableB }).OfType<string>())
        {
            setup.Environment[name] = " ";
        }

        setup.Environment["LLM_BACKENDS"] = "";
        setup.Environment["LLM_ENDPOINTS"] = "";
        Assert.Equal("a:1", setup.Options().Backends[0].Name);
        Assert.Empty(setup.Load().Warnings);
    }

    [Fact]
    public void Load_EveryRowWithoutFamilyVariable_HasItsOwnVariable()
    {
        foreach (var row in SettingTable.Rows.Where(row => row.VariableA is null && row.VariableB is null && row.Key is not ("host" or "port" or "redis_connection" or "redis_key_prefix")))
        {
            Assert.Equal($"ROADBALANCER_{row.Key.ToUpperInvariant()}", row.Variable!.Replace('.', '_'));
            using var setup = Setup.Yaml(OneEndpoint);
            setup.Environment[row.Variable!] = "\x7f";
            Assert.StartsWith(row.Variable!, setup.Error().Key, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Load_MistypedVariable_WarnsWithTheNearest()
    {
        using var setup = Setup.Yaml(OneEndpoint);
        setup.Environment["ROADBALANCER_STREAM_RECOVRY"] = "off";
        setup.Environment["ROADBALANCER_SOMETHING_ELSE_ENTIRELY"] = "x";
        Assert.Contains("ROADBALANCER_STREAM_RECOVERY", Assert.Single(setup.Load().Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_DemoBackends_StandBehindConfiguredOnes()
    {
        using var setup = Setup.With(("LLM_BACKENDS", """[{"url":"http://x","name":"demo-a"}]"""));
        var demo = Setup.With(("LLM_BACKENDS", """[{"url":"http://d:1","name":"demo-a"},{"url":"http://d:2","name":"demo-b"}]"""));
        var loader = new OptionsLoader(setup.Environment, CommandLine.Parse(["--demo"]), setup.Folder) { DemoBackends = demo.Options().Backends };
        demo.Dispose();
        var options = loader.Load().Options!;
        Assert.Equal(["demo-a", "demo-a-2", "demo-b"], options.Backends.Select(backend => backend.Name));
        Assert.Equal(BalancingMode.Balanced, options.Mode);
    }

    [Theory]
    [InlineData(null, null, false)]
    [InlineData("config.yaml", null, true)]
    [InlineData(null, "config.yaml", true)]
    public void Load_DemoWithAFile_TakesOnlyOneThatIsNamed(string? argument, string? variable, bool counts)
    {
        using var setup = Setup.Yaml("strategy: random\nendpoints: [{url: 'http://mine:1', name: mine}]");
        setup.Arguments.AddRange(argument is null ? ["--demo"] : ["--demo", "--config", argument]);
        setup.Environment["ROADBALANCER_CONFIG"] = variable ?? "";
        var loader = new OptionsLoader(setup.Environment, CommandLine.Parse(setup.Arguments), setup.Folder) { DemoBackends = [Pools.Backend("fast"), Pools.Backend("slow")] };

        var result = loader.Load();

        Assert.Equal(counts ? ["mine", "fast", "slow"] : ["fast", "slow"], result.Options!.Backends.Select(backend => backend.Name));
        Assert.Equal(counts ? "random" : "round_robin", result.Options.Strategy);
        Assert.Equal((counts ? setup.PathOf("config.yaml") : null, counts ? null : setup.PathOf("config.yaml")), (result.File, result.PassedOver));
    }

    [Fact]
    public void Load_OnlyDemoBackends_IsValid()
    {
        using var demo = Setup.With(("LLM_ENDPOINTS", "http://d:1,http://d:2"));
        var backends = demo.Options().Backends;
        demo.Environment.Clear();
        var result = new OptionsLoader(demo.Environment, CommandLine.Parse(["--demo"]), demo.Folder) { DemoBackends = backends }.Load();
        Assert.Equal(2, result.Options!.Backends.Length);
    }
}
