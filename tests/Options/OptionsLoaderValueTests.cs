using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Options;

/// <summary>Each key with its range, and what is said about values outside of it.</summary>
public sealed class OptionsLoaderValueTests
{
    private const string Full = """
        strategy: consistent_hash
        timeout: 20
        connect_timeout: 1.5
        ttft_timeout: 2
        stream_idle_timeout: 3
        max_retries: 4
        fallback_on_failure: no
        health_check: {enabled: off, interval: 11}
        failure_threshold: 5
        failure_ratio: 0.25
        failure_ratio_minimum: 6
        failure_window: 7
        cooldown: 8
        cooldown_max: 9
        slow_start: 0
        quota_park: 10
        model_absent_park: 12
        panic_mode: false
        total_timeout: 13
        max_retry_wait: 14
        max_queue_wait: 0
        max_queue_length: 15
        retry_budget: 1
        retry_budget_floor: 16
        stream_recovery: Continue
        hedge_after: p95
        hedge_ratio: 0.1
        max_body_bytes: 1000
        models_cache: 17
        api_keys: [alice=k1, k2]
        log_format: json
        log_level: debug
        x-common: &common {auth: api-key, headers: {X-One: '1'}, tags: [fast]}
        backends:
          - <<: *common
            url: https://res.openai.azure.com/openai/deployments/gpt?api-version=1
            name: azure
            api_key: secret
            query: {a b: 'c&d'}
            weight: 0
            max_connections: 3
            priority: -1
            tags: [fast, primary]
            models: {gpt-4o: real-name}
            max_tokens: 100
            temperature: 0.7
            enabled: true
            health_path: /health
            continue_final_message: true
            timeout: 1
            connect_timeout: 0.5
            ttft_timeout: 0.25
            stream_idle_timeout: 0.125
          - url: http://b:8000/v1beta/openai/
            model_name: qwen
            tags: a, b
            prefix: yes
        """;

    [Fact]
    public void Load_FullFile_EveryTopLevelKeyArrives()
    {
        using var setup = Setup.Yaml(Full);
        var o = setup.Options();
        Assert.Equal(("consistent_hash", 4, false, false, 11), (o.Strategy, o.RetryCount, o.FallbackOnFailure, o.HealthCheckEnabled, o.HealthCheckInterval.TotalSeconds));
        Assert.Equal((5, 0.25, 6, 7, 8, 9), (o.FailureThreshold, o.FailureRatio, o.FailureRatioMinimum, o.FailureWindow.TotalSeconds, o.Cooldown.TotalSeconds, o.CooldownMax.TotalSeconds));
        Assert.Equal((0, 10, 12, false, 13, 14), (o.SlowStart.TotalSeconds, o.QuotaPark.TotalSeconds, o.ModelAbsentPark.TotalSeconds, o.PanicMode, o.TotalTimeout.TotalSeconds, o.MaxRetryWait.TotalSeconds));
        Assert.Equal((0, 15, 1, 16), (o.MaxQueueWait.TotalSeconds, o.MaxQueueLength, o.RetryBudgetRatio, o.RetryBudgetFloor));
        Assert.Equal((StreamRecovery.Continue, TimeSpan.Zero, 0.1, 1000, 17), (o.StreamRecovery, o.HedgeAfter, o.HedgeRatio, o.MaxBodyBytes, o.ModelsCache.TotalSeconds));
        Assert.Equal([new ClientKey("alice", "k1"), new ClientKey("key-2", "k2")], o.ClientKeys);
        var host = setup.Load().Host!;
        Assert.Equal((LogFormat.Json, Microsoft.Extensions.Logging.LogLevel.Debug), (host.LogFormat, host.LogLevel));
    }

    [Fact]
    public void Load_FullFile_EveryBackendKeyArrives()
    {
        using var setup = Setup.Yaml(Full);
        var (azure, plain) = (setup.Options().Backends[0], setup.Options().Backends[1]);
        Assert.Equal(("azure", "secret", BackendAuth.ApiKey, "api-version=1&a%20b=c%26d"), (azure.Name, azure.ApiKey, azure.Auth, azure.Query));
        Assert.Equal("https://res.openai.azure.com/openai/deployments/gpt", azure.BaseUrl.AbsoluteUri);
        Assert.Equal(KeyValuePair.Create("X-One", "1"), Assert.Single(azure.Headers));
        Assert.Equal((0, 3, -1, 100, 0.7, true, "/health"), (azure.Weight, azure.MaxConnections, azure.Priority, azure.MaxTokens, azure.Temperature, azure.Enabled, azure.HealthPath));
        Assert.True(azure.HasAll(["fast", "primary"]));
        Assert.Equal("real-name", azure.NameOf("gpt-4o"));
        Assert.Equal((1, 0.5, 0.25, 0.125), (azure.Timeout.TotalSeconds, azure.ConnectTimeout.TotalSeconds, azure.FirstTokenTimeout.TotalSeconds, azure.StreamIdleTimeout.TotalSeconds));
        Assert.Equal((ContinuationForm.ContinueFinalMessage, ContinuationForm.Prefix), (azure.Continuation, plain.Continuation));
        Assert.Equal((20, 1.5, 2, 3), (plain.Timeout.TotalSeconds, plain.ConnectTimeout.TotalSeconds, plain.FirstTokenTimeout.TotalSeconds, plain.StreamIdleTimeout.TotalSeconds));
        Assert.Equal(("http://b:8000/v1beta/openai", "qwen"), (plain.BaseUrl.AbsoluteUri, plain.ModelName));
        Assert.True(plain.HasAll(["a", "b"]));
    }

    [Fact]
    public void Load_NothingButBackends_GivesTheDefaultsOfTheContract()
    {
        using var setup = Setup.Yaml("endpoints: [{url: 'http://a'}, {url: 'http://b'}]");
        var expected = new BalancerOptions { Backends = setup.Options().Backends };
        Assert.Equal(expected, setup.Options() with { Backends = expected.Backends });
        var backend = expected.Backends[0];
        Assert.Equal(new Backend { Name = "a:80", BaseUrl = new("http://a/v1") }, backend);
    }

    [Theory]
    [InlineData("retry_count", "-1")]
    [InlineData("retry_count", "101")]
    [InlineData("retry_count", "1.5")]
    [InlineData("retry_count", "1e1")]
    [InlineData("retry_count", "99999999999999999999999")]
    [InlineData("retry_count", "true")]
    [InlineData("retry_count", "[1]")]
    [InlineData("fallback_on_failure", "maybe")]
    [InlineData("fallback_on_failure", "2")]
    [InlineData("fallback_on_failure", "{a: 1}")]
    [InlineData("timeout", "0")]
    [InlineData("timeout", "-5")]
    [InlineData("timeout", ".nan")]
    [InlineData("timeout", "NaN")]
    [InlineData("timeout", ".inf")]
    [InlineData("timeout", "Infinity")]
    [InlineData("timeout", "1e999")]
    [InlineData("timeout", "86401")]
    [InlineData("timeout", "10s")]
    [InlineData("timeout", "1,5")]
    [InlineData("failure_ratio", "0")]
    [InlineData("failure_ratio", "1.01")]
    [InlineData("failure_threshold", "0")]
    [InlineData("max_body_bytes", "0")]
    [InlineData("max_body_bytes", "104857601")]
    [InlineData("hedge_after", "p99")]
    [InlineData("hedge_after", "0")]
    [InlineData("stream_recovery", "maybe")]
    [InlineData("stream_recovery", "[off]")]
    [InlineData("strategy", "fastest")]
    [InlineData("strategy", "{}")]
    [InlineData("host", "example.com")]
    [InlineData("port", "65536")]
    [InlineData("log_level", "loud")]
    [InlineData("health_check", "[1]")]
    [InlineData("endpoint_list", "1")]
    [InlineData("health_check.enabled", "true")]
    public void Load_WrongTopLevelValue_IsOneErrorThatNamesTheKey(string key, string value)
    {
        using var setup = Setup.Yaml($"{key}: {value}\nendpoints: [{{url: 'http://a'}}]");
        var error = setup.Error();
        Assert.Equal(key, error.Key);
        Assert.Equal("config.yaml, line 1", error.Location);
        if (error.Value is { } shown && value[0] is not ('[' or '{'))
        {
            Assert.Equal($"'{value}'", shown);
        }
    }

    [Theory]
    [InlineData("weight", "abc")]
    [InlineData("weight", "-1")]
    [InlineData("weight", "1000001")]
    [InlineData("max_connections", "0")]
    [InlineData("max_tokens", "0")]
    [InlineData("temperature", "2.1")]
    [InlineData("temperature", "NaN")]
    [InlineData("name", "a b")]
    [InlineData("name", "a,b")]
    [InlineData("name", "a/b")]
    [InlineData("name", "ü")]
    [InlineData("name", "12345678901234567890123456789012345678901234567890123456789012345")]
    [InlineData("auth", "basic")]
    [InlineData("tags", "{a: b}")]
    [InlineData("models", "[[a]]")]
    [InlineData("health_path", "http://evil/")]
    [InlineData("health_path", "//evil/")]
    [InlineData("headers", "[a]")]
    [InlineData("headers", "text")]
    [InlineData("headers", "{Host: x}")]
    [InlineData("headers", "{transfer-encoding: x}")]
    [InlineData("headers", "{Content-Length: '1'}")]
    [InlineData("headers", "{'a b': x}")]
    [InlineData("headers", "{X-A: }")]
    [InlineData("headers", "{X-A: [1]}")]
    [InlineData("headers", "{X-A: \"a\\r\\nX-B: c\"}")]
    [InlineData("headers", "{X-A: a, x-a: b}")]
    [InlineData("query", "'a b'")]
    [InlineData("query", "[a]")]
    [InlineData("api_key", "\"a\\nb\"")]
    [InlineData("api_key", "env:NOT_THERE")]
    [InlineData("api_key", "[a]")]
    [InlineData("timeout", "0")]
    [InlineData("colour", "red")]
    public void Load_WrongBackendValue_IsOneErrorThatNamesThePlace(string key, string value)
    {
        using var setup = Setup.Yaml($"endpoints:\n  - url: http://a\n  - url: http://b\n    {key}: {value}");
        var error = setup.Error();
        Assert.StartsWith($"endpoints[1].{key}", error.Key, StringComparison.Ordinal);
        Assert.Equal("config.yaml, line 4", error.Location);
    }

    [Fact]
    public void Load_ManyErrors_AllAtOnce()
    {
        using var setup = Setup.Yaml("""
            stratgy: random
            retry_count: x
            endpoints:
              - url: ftp://a
                weight: abc
              - wieght: 2
              - text
            """);
        setup.Environment["FAILURE_THRESHOLD"] = "0";
        setup.Arguments.AddRange(["--prot", "1", "--port", "x"]);
        Assert.Equal(
            ["--prot", "stratgy", "retry_count", "FAILURE_THRESHOLD", "--port", "endpoints[0].url", "endpoints[0].weight", "endpoints[1].wieght", "endpoints[1].url", "endpoints[2]"],
            setup.Load().Errors.Select(error => error.Key));
    }

    [Theory]
    [InlineData("stratgy", "'strategy'")]
    [InlineData("retry-count", "'retry_count'")]
    [InlineData("endpionts", "'endpoints'")]
    [InlineData("Timeout", "'timeout'")]
    public void Load_UnknownKey_NamesTheNearest(string key, string nearest)
    {
        using var setup = Setup.Yaml($"{key}: 1\nbackends: [{{url: 'http://a'}}]");
        Assert.Contains($"did you mean {nearest}?", setup.Error().Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_UnknownStrategy_ListsTheNames()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("LLM_STRATEGY", "fastest"));
        Assert.Contains(string.Join(", ", StrategyTable.Names), setup.Error().ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_SettingUnderTwoKeys_IsAnError()
    {
        using var setup = Setup.Yaml("retry_count: 1\nmax_retries: 2\nendpoints: [{url: 'http://a'}]");
        Assert.Equal("max_retries", setup.Error().Key);
    }

    [Theory]
    [InlineData("endpoints: [{url: 'http://a', weight: 0}, {url: 'http://b', weight: 0}]", "endpoints[].weight")]
    [InlineData("cooldown: 10\ncooldown_max: 5\nendpoints: [{url: 'http://a'}]", "cooldown_max")]
    [InlineData("endpoints: [{url: 'http://a', prefix: true, continue_final_message: true}]", "endpoints[0].continue_final_message")]
    [InlineData("endpoints: [{url: 'http://a', name: x}, {url: 'http://b', name: X}]", "endpoints[1].name")]
    [InlineData("api_keys: {team: one, app: two}\nadmin_keys: {ops: two}\nendpoints: [{url: 'http://a'}]", "admin_keys")]
    public void Load_BrokenRuleBetweenFields_IsAnError(string yaml, string key)
    {
        using var setup = Setup.Yaml(yaml);
        Assert.Equal(key, setup.Error().Key);
    }
}
