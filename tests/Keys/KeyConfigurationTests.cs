using Roadbalancer.Options;
using Roadbalancer.Tests.Options;

namespace Roadbalancer.Tests.Keys;

/// <summary>Limits of client keys in a configuration.</summary>
public sealed class KeyConfigurationTests
{
    private const string Secret = "sk-Zq7Xw93Kf5TnB1";

    private const string Endpoint = "\nendpoints: [{url: 'http://a'}]";

    [Fact]
    public void Load_EveryLimit_IsTaken()
    {
        using var setup = Setup.Yaml("""
            assumed_max_tokens: 256
            api_keys:
              plain: one
              team-a:
                key: env:TEAM
                models: [gpt-4o, meta-llama/*]
                tags: fast, eu
                requests_per_minute: 60
                tokens_per_minute: 200000
                max_concurrency: 8
                expires: 2027-01-31
              bounded: {key: three, expires: '2027-01-31T12:30:00+02:00'}
            """ + Endpoint);
        setup.Environment["TEAM"] = "two";
        var options = setup.Options();

        Assert.Equal(256, options.AssumedMaxTokens);
        Assert.Equal(["plain", "team-a", "bounded"], options.ClientKeys.Select(key => key.Name));
        Assert.Equal(ClientKey.HashOf("two"), options.ClientKeys[1].Hash);
        Assert.Equal(KeyLimits.None, options.ClientKeys[0].Limits);
        var limits = options.ClientKeys[1].Limits;
        Assert.Equal((60L, 200_000L, 8), (limits.RequestsPerMinute, limits.TokensPerMinute, limits.MaxConcurrency));
        Assert.Equal(["gpt-4o", "meta-llama/*"], limits.Models);
        Assert.Equal(["fast", "eu"], limits.Tags);
        Assert.Equal(new DateTimeOffset(2027, 1, 31, 0, 0, 0, TimeSpan.Zero), limits.Expires);
        Assert.Equal(new DateTimeOffset(2027, 1, 31, 10, 30, 0, TimeSpan.Zero), options.ClientKeys[2].Limits.Expires);
    }

    [Fact]
    public void Load_ListOfMaps_IsTheSame()
    {
        using var setup = Setup.Yaml("api_keys: [{name: a, key: one, max_concurrency: 2}, b=two, three]" + Endpoint);
        var keys = setup.Options().ClientKeys;
        Assert.Equal(["a", "b", "key-3"], keys.Select(key => key.Name));
        Assert.Equal(2, keys[0].Limits.MaxConcurrency);
    }

    [Theory]
    [InlineData("""{"a":{"key":"one","requests_per_minute":5},"b":"two"}""")]
    [InlineData(""" [{"name":"a","key":"one","requests_per_minute":5},"b=two"]""")]
    public void Load_VariableWithJson_IsTheSame(string json)
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_API_KEYS", json));
        var keys = setup.Options().ClientKeys;
        Assert.Equal([("a", 5L), ("b", null)], keys.Select(key => (key.Name, key.Limits.RequestsPerMinute)));
        Assert.Equal(ClientKey.HashOf("two"), keys[1].Hash);
    }

    [Theory]
    [InlineData("a: {key: k, requests_per_minute: 0}", "api_keys.a.requests_per_minute", "'0'")]
    [InlineData("a: {key: k, requests_per_minute: many}", "api_keys.a.requests_per_minute", "'many'")]
    [InlineData("a: {key: k, tokens_per_minute: -1}", "api_keys.a.tokens_per_minute", "'-1'")]
    [InlineData("a: {key: k, tokens_per_minute: 10000000001}", "api_keys.a.tokens_per_minute", "'10000000001'")]
    [InlineData("a: {key: k, max_concurrency: 1.5}", "api_keys.a.max_concurrency", "'1.5'")]
    [InlineData("a: {key: k, expires: tomorrow}", "api_keys.a.expires", "'tomorrow'")]
    [InlineData("a: {key: k, expires: 2027-13-01}", "api_keys.a.expires", "'2027-13-01'")]
    [InlineData("a: {key: k, models: [x, 'y*z']}", "api_keys.a.models[1]", "'y*z'")]
    [InlineData("a: {key: k, models: {x: y}}", "api_keys.a.models", "a map")]
    [InlineData("a: {key: k, tags: [[x]]}", "api_keys.a.tags[0]", "a list")]
    [InlineData("a: {key: k, tags: ['ä']}", "api_keys.a.tags[0]", "'ä'")]
    [InlineData("a: {key: k, request_per_minute: 5}", "api_keys.a.request_per_minute", null)]
    [InlineData("a: {key: k, name: b}", "api_keys.a.name", null)]
    [InlineData("a: {max_concurrency: 5}", "api_keys.a", null)]
    [InlineData("a: {key: }", "api_keys.a", null)]
    [InlineData("a: {key: env:NOT_THERE}", "api_keys.a.key", null)]
    [InlineData("a: {key: k}\n  b: {key: k}", "api_keys.b", null)]
    [InlineData("a b: {key: k}", "api_keys.***", "***")]
    public void Load_WrongLimit_NamesKeyAndValue(string entry, string key, string? value)
    {
        using var setup = Setup.Yaml($"api_keys:\n  {entry}" + Endpoint);
        var error = setup.Error();
        Assert.Equal((key, value), (error.Key, error.Value));
    }

    [Theory]
    [InlineData("{key: k}", "needs a name")]
    [InlineData("{name: a}", "needs a key")]
    [InlineData("{name: a b, key: k}", "name is 1 to 64")]
    [InlineData("{name: '*', key: k}", "stands for every key")]
    [InlineData("'*=k'", "stands for every key")]
    public void Load_WrongMapInAList_SaysWhatIsMissing(string item, string problem)
    {
        using var setup = Setup.Yaml($"api_keys: [{item}]" + Endpoint);
        var error = setup.Error();
        Assert.StartsWith("api_keys[0]", error.Key, StringComparison.Ordinal);
        Assert.Contains(problem, error.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("api_keys: {a: {key: §, requests_per_minute: x}}")]
    [InlineData("api_keys: {a: {§: 1}}")]
    [InlineData("api_keys: {§: {key: §, tags: {§: 1}}}")]
    [InlineData("api_keys: {a: {key: [§]}}")]
    [InlineData("api_keys: {a: {key: 'ü§'}}")]
    [InlineData("api_keys: {a: {key: §}, b: {key: §}}")]
    [InlineData("api_keys: [{name: §, key: §, weight: 1}]")]
    [InlineData("api_keys: [{name: '§ §', key: §}]")]
    [InlineData("api_keys: '{\"a\":§'")]
    [InlineData("api_keys: '[\"a=§\",{\"key\":\"§\"}]'")]
    public void Load_SecretBesideAnError_IsInNoMessage(string yaml)
    {
        using var setup = Setup.Yaml(yaml.Replace("§", Secret, StringComparison.Ordinal) + Endpoint);
        var result = setup.Load();
        Assert.False(result.IsValid);
        var said = OptionsReport.Errors(result) + string.Join('\n', result.Errors);
        Assert.DoesNotContain(Secret[3..], said, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(Secret[..10], said, StringComparison.OrdinalIgnoreCase);
    }
}
