using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Options;

/// <summary>The two families of environment variables, and the three modes.</summary>
public sealed class OptionsLoaderFamilyTests
{
    [Fact]
    public void Load_FamilyA_ListsByPosition()
    {
        using var setup = Setup.With(
            ("LLM_ENDPOINTS", "http://a:1, https://b/openai/v1/ ,http://c:3,"), ("LLM_API_KEYS", "k1,,k3"), ("LLM_WEIGHTS", "5,2"),
            ("LLM_MAX_TOKENS", "100"), ("LLM_TEMPERATURES", ",0.5"), ("LLM_STRATEGY", StrategyTable.Names.Last()), ("LLM_HEALTH_CHECK", "false"), ("LLM_TIMEOUT", "12.5"));
        var options = setup.Options();
        Assert.Equal(["a:1", "b:443", "c:3"], options.Backends.Select(backend => backend.Name));
        Assert.Equal(["http://a:1/v1", "https://b/openai/v1", "http://c:3/v1"], options.Backends.Select(backend => backend.BaseUrl.AbsoluteUri));
        Assert.Equal(["k1", null, "k3"], options.Backends.Select(backend => backend.ApiKey));
        Assert.Equal([5, 2, 1], options.Backends.Select(backend => backend.Weight));
        Assert.Equal([100, null, null], options.Backends.Select(backend => backend.MaxTokens));
        Assert.Equal([null, 0.5, null], options.Backends.Select(backend => backend.Temperature));
        Assert.All(options.Backends, backend => Assert.Equal((12.5, 100), (backend.Timeout.TotalSeconds, backend.MaxConnections)));
        Assert.False(options.HealthCheckEnabled);
        Assert.Equal(StrategyTable.Names.Last(), options.Strategy);
    }

    [Fact]
    public void Load_FamilyADefaults_AreItsOwn()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a,http://b"));
        var options = setup.Options();
        Assert.All(options.Backends, backend => Assert.Equal((60, 100, 1, 0), (backend.Timeout.TotalSeconds, backend.MaxConnections, backend.Weight, backend.Priority)));
        Assert.Equal((2, true, true, 30, 3), (options.RetryCount, options.FallbackOnFailure, options.HealthCheckEnabled, options.HealthCheckInterval.TotalSeconds, options.FailureThreshold));
    }

    [Fact]
    public void Load_FamilyB_EveryField()
    {
        using var setup = Setup.With(
            ("LLM_BACKENDS", """[{"name":"one","url":"http://a:1","model_name":"m","api_key":"k","weight":3,"max_connections":7,"timeout":8,"priority":2,"tags":["x","y"]},{"url":"http://b"}]"""),
            ("LOAD_BALANCE_STRATEGY", "consistent_hash"), ("HEALTH_CHECK_INTERVAL", "9"), ("MAX_RETRIES", "4"), ("FAILURE_THRESHOLD", "6"));
        var options = setup.Options();
        var one = options.Backends[0];
        Assert.Equal(("one", "m", "k", 3, 7, 8, 2), (one.Name, one.ModelName, one.ApiKey, one.Weight, one.MaxConnections, one.Timeout.TotalSeconds, one.Priority));
        Assert.True(one.HasAll(["x", "y"]));
        Assert.Equal(("b:80", 50, 30), (options.Backends[1].Name, options.Backends[1].MaxConnections, options.Backends[1].Timeout.TotalSeconds));
        Assert.Equal(("consistent_hash", 9, 4, 6), (options.Strategy, options.HealthCheckInterval.TotalSeconds, options.RetryCount, options.FailureThreshold));
    }

    [Fact]
    public void Load_FamilyBSingle_IsStraightForwarding()
    {
        using var setup = Setup.With(("VLLM_SERVER_URL", "http://gpu:8000/v1"), ("MODEL_NAME", "qwen"), ("API_KEY", "k"));
        var options = setup.Options();
        var backend = Assert.Single(options.Backends);
        Assert.Equal(("gpu:8000", "qwen", "k", 30, 50), (backend.Name, backend.ModelName, backend.ApiKey, backend.Timeout.TotalSeconds, backend.MaxConnections));
        Assert.Equal(BalancingMode.SingleBackend, options.Mode);
    }

    [Theory]
    [InlineData("VLLM_SERVER_URL", "http://a", null, nameof(BalancingMode.SingleBackend))]
    [InlineData("VLLM_SERVER_URL", "http://a", "true", nameof(BalancingMode.SingleBackendBalanced))]
    [InlineData("LLM_BACKENDS", """[{"url":"http://a"}]""", null, nameof(BalancingMode.SingleBackendBalanced))]
    [InlineData("LLM_BACKENDS", """[{"url":"http://a"}]""", "false", nameof(BalancingMode.SingleBackend))]
    [InlineData("LLM_BACKENDS", """[{"url":"http://a"},{"url":"http://b"}]""", null, nameof(BalancingMode.Balanced))]
    [InlineData("LLM_BACKENDS", """[{"url":"http://a"},{"url":"http://b"}]""", "true", nameof(BalancingMode.Balanced))]
    [InlineData("LLM_ENDPOINTS", "http://a", null, nameof(BalancingMode.SingleBackendBalanced))]
    [InlineData("LLM_ENDPOINTS", "http://a", "true", nameof(BalancingMode.SingleBackendBalanced))]
    [InlineData("LLM_ENDPOINTS", "http://a,http://b", null, nameof(BalancingMode.Balanced))]
    public void Load_BackendsAndEnabled_GiveTheMode(string variable, string value, string? enabled, string mode)
    {
        using var setup = Setup.With((variable, value), ("LOAD_BALANCE_ENABLED", enabled ?? ""));
        Assert.Equal(mode, setup.Options().Mode.ToString());
    }

    [Fact]
    public void Load_DisabledWithSeveral_UsesTheFirstAndWarns()
    {
        using var setup = Setup.With(("LLM_BACKENDS", """[{"url":"http://a"},{"url":"http://b"},{"url":"http://c"}]"""), ("LOAD_BALANCE_ENABLED", "False"));
        var result = setup.Load();
        Assert.Equal("a:80", Assert.Single(result.Options!.Backends).Name);
        Assert.Equal(BalancingMode.SingleBackend, result.Options.Mode);
        Assert.Contains("other 2 are ignored", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_BothFamilies_BWinsAndNamesWhatIsIgnored()
    {
        using var setup = Setup.With(
            ("LLM_BACKENDS", """[{"url":"http://b"}]"""), ("LLM_ENDPOINTS", "not even a url"), ("LLM_WEIGHTS", "x"), ("LLM_TIMEOUT", "99"), ("LLM_STRATEGY", "nonsense"));
        var result = setup.Load();
        Assert.Equal(("b:80", 30, 1), (result.Options!.Backends[0].Name, result.Options.Backends[0].Timeout.TotalSeconds, result.Options.Backends[0].Weight));
        var warning = Assert.Single(result.Warnings);
        foreach (var name in new[] { "LLM_ENDPOINTS", "LLM_WEIGHTS", "LLM_TIMEOUT", "LLM_STRATEGY", "LLM_BACKENDS" })
        {
            Assert.Contains(name, warning, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Load_SameSettingOfBothFamilies_BWinsAndWarns()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("LLM_STRATEGY", "nonsense"), ("LOAD_BALANCE_STRATEGY", "round_robin"), ("MAX_RETRIES", "9"));
        var result = setup.Load();
        Assert.Equal(("round_robin", 9), (result.Options!.Strategy, result.Options.RetryCount));
        Assert.Contains("LLM_STRATEGY", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_BackendsAndSingleUrl_TheListWinsAndWarns()
    {
        using var setup = Setup.With(("LLM_BACKENDS", """[{"url":"http://b"}]"""), ("VLLM_SERVER_URL", "http://v"), ("API_KEY", "k"));
        var result = setup.Load();
        Assert.Equal("b:80", Assert.Single(result.Options!.Backends).Name);
        Assert.Null(result.Options.Backends[0].ApiKey);
        Assert.Contains("VLLM_SERVER_URL, API_KEY", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("LLM_BACKENDS", """[{"url":"http://b"}]""")]
    [InlineData("VLLM_SERVER_URL", "http://b")]
    [InlineData("LLM_ENDPOINTS", "http://b")]
    public void Load_VariableAndFile_TheVariablesBackendsWinAndTheRestOfTheFileHolds(string variable, string value)
    {
        using var setup = Setup.Yaml("timeout: 11\nretry_count: 7\nendpoints:\n  - url: nonsense\n");
        setup.Environment[variable] = value;
        var result = setup.Load();
        Assert.Equal(("b:80", 11), (Assert.Single(result.Options!.Backends).Name, result.Options.Backends[0].Timeout.TotalSeconds));
        Assert.Equal(7, result.Options.RetryCount);
        Assert.Contains("'endpoints'", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_MoreValuesThanEndpoints_Warns()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("LLM_WEIGHTS", "1,2,3"));
        Assert.Contains("last 2 are ignored", Assert.Single(setup.Load().Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_PositionalListsWithoutEndpoints_Warns()
    {
        using var setup = Setup.Yaml("endpoints: [{url: 'http://a'}]");
        setup.Environment["LLM_WEIGHTS"] = "2";
        Assert.Contains("LLM_WEIGHTS", Assert.Single(setup.Load().Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WrongPositions_NameThePosition()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a,nope,http://c"), ("LLM_WEIGHTS", "1,abc,-1"), ("LLM_TEMPERATURES", "0,3"), ("LLM_MAX_TOKENS", "0"));
        Assert.Equal(
            ["LLM_ENDPOINTS[1]", "LLM_WEIGHTS[1]", "LLM_WEIGHTS[2]", "LLM_MAX_TOKENS[0]", "LLM_TEMPERATURES[1]"],
            setup.Load().Errors.Select(error => error.Key));
    }

    [Theory]
    [InlineData("{", "LLM_BACKENDS")]
    [InlineData("{}", "LLM_BACKENDS")]
    [InlineData("5", "LLM_BACKENDS")]
    [InlineData("[5]", "LLM_BACKENDS[0]")]
    [InlineData("[null]", "LLM_BACKENDS[0].url")]
    [InlineData("[{}]", "LLM_BACKENDS[0].url")]
    [InlineData("""[{"url":"http://a"},{"url":"http://b","weight":"abc"}]""", "LLM_BACKENDS[1].weight")]
    [InlineData("""[{"url":"http://a","wieght":1}]""", "LLM_BACKENDS[0].wieght")]
    [InlineData("""[{"url":"http://a","url":"http://b"}]""", "LLM_BACKENDS")]
    [InlineData("[]", "backends")]
    public void Load_WrongBackendsVariable_NamesThePlace(string json, string key)
    {
        using var setup = Setup.With(("LLM_BACKENDS", json));
        Assert.Equal(key, setup.Error().Key);
    }
}
