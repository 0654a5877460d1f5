using Roadbalancer.Options;
using Roadbalancer.Redis;
using Roadbalancer.Tests.Options;

namespace Roadbalancer.Tests.Redis;

public sealed class RedisAddressTests
{
    [Theory]
    [InlineData("localhost", "redis://localhost:6379", null)]
    [InlineData("localhost:7000,password=pw,ssl=true,defaultDatabase=2", "rediss://localhost:7000/2", "pw")]
    [InlineData("a:1,b:2,abortConnect=False", "redis://a:1,b:2", null)]
    [InlineData("redis://localhost", "redis://localhost:6379", null)]
    [InlineData("redis://:p%2Cw%40@host:7000/3", "redis://host:7000/3", "p,w@")]
    [InlineData("rediss://default:pw@host", "rediss://host:6379", "pw")]
    public void Parse_EitherForm_IsUnderstood(string text, string shown, string? password)
    {
        var address = RedisAddress.Parse(text, out _);
        Assert.Equal((shown, password), (address!.ToString(), address.ToOptions().Password));
    }

    [Theory]
    [InlineData("http://host", "must be redis://")]
    [InlineData("redis://", "must be redis://")]
    [InlineData("redis://host/x", "database by a number")]
    [InlineData("redis://host?x=1", "query")]
    [InlineData("redis://me:hush@host", "user")]
    [InlineData("password=hush", "must name a host")]
    [InlineData("host,pasword=hush", "not known: pasword")]
    [InlineData("host,ssl=maybe,password=hush", "not allowed: ssl")]
    [InlineData("host,sslProtocols=tls12,password=hush", "not known: sslProtocols")]
    [InlineData("host,password=a,hu5h=b", "written as a URL")]
    public void Parse_Wrong_SaysWhatWithoutTheSecret(string text, string problem)
    {
        Assert.Null(RedisAddress.Parse(text, out var told));
        Assert.Contains(problem, told, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", told, StringComparison.Ordinal);
        Assert.DoesNotContain("hu5h", told, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_RedisSettings_AreBoundAndTheSecretIsNotShown()
    {
        using var setup = Setup.With(
            ("LLM_ENDPOINTS", "http://a:1,http://b:1"), ("REDIS_CONNECTION", "redis://:hush@host/1"), ("REDIS_KEY_PREFIX", "x:"),
            ("ROADBALANCER_REDIS_TIMEOUT", "0.1"), ("ROADBALANCER_REDIS_REQUIRED", "true"));
        var options = setup.Options();
        Assert.Equal(("redis://host:6379/1", "x:", 100.0, true),
            (options.Redis!.ToString(), options.RedisKeyPrefix, options.RedisTimeout.TotalMilliseconds, options.RedisRequired));
        Assert.DoesNotContain("hush", options.ToString(), StringComparison.Ordinal);
        setup.Environment["REDIS_CONNECTION"] = "host,password=hush,what=x";
        Assert.DoesNotContain("hush", OptionsReport.Errors(setup.Load()), StringComparison.Ordinal);
        setup.Environment["REDIS_CONNECTION"] = "host";
        setup.Environment["REDIS_KEY_PREFIX"] = "{x}";
        Assert.Equal("REDIS_KEY_PREFIX", setup.Error().Key);
    }
}
