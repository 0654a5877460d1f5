using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>What ends up in HTTP messages: names, URLs, references, client keys.</summary>
public sealed class OptionsLoaderHttpTests
{
    [Fact]
    public void Load_DefaultNames_AreUniqueAndGiveWayToConfiguredOnes()
    {
        using var setup = Setup.Yaml("endpoints: [{url: 'http://a:1/x'}, {url: 'http://a:1/y'}, {url: 'http://A:1/z'}, {url: 'http://q', name: 'a:1'}, {url: 'http://[::1]:8'}]");
        Assert.Equal(["a:1-2", "a:1-3", "a:1-4", "a:1", "[::1]:8"], setup.Options().Backends.Select(backend => backend.Name));
    }

    [Fact]
    public void Load_LongHost_NameIsCutAndStaysUnique()
    {
        var host = new string('h', 60) + ".example.com";
        using var setup = Setup.With(("LLM_ENDPOINTS", $"http://{host}/a,http://{host}/b"));
        Assert.Equal([64, 64], setup.Options().Backends.Select(backend => backend.Name.Length));
    }

    [Theory]
    [InlineData("http://a", "http://a/v1", "")]
    [InlineData("http://a/", "http://a/v1", "")]
    [InlineData("HTTPS://A:443//", "https://a/v1", "")]
    [InlineData("https://host/openai/v1/", "https://host/openai/v1", "")]
    [InlineData("https://host/v1beta/openai", "https://host/v1beta/openai", "")]
    [InlineData("https://host?api-version=1&x=%20y", "https://host/v1", "api-version=1&x=%20y")]
    [InlineData("http://[::1]:8000/", "http://[::1]:8000/v1", "")]
    [InlineData("http://bücher.example", "http://xn--bcher-kva.example/v1", "")]
    public void Load_Url_BecomesBaseAndQuery(string url, string expected, string query)
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", url));
        var backend = setup.Options().Backends[0];
        Assert.Equal((expected, query), (backend.BaseUrl.AbsoluteUri, backend.Query));
    }

    [Theory]
    [InlineData("localhost:8000")]
    [InlineData("//a")]
    [InlineData("/a")]
    [InlineData("ftp://a")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://")]
    [InlineData("http://:80")]
    [InlineData("http://a:0")]
    [InlineData("http://a:99999")]
    [InlineData("http://a b")]
    [InlineData("http:\\\\a")]
    [InlineData("http://a/#x")]
    [InlineData("http://user@a")]
    public void Load_WrongUrl_IsAnError(string url)
    {
        using var setup = Setup.With(("VLLM_SERVER_URL", url));
        Assert.Equal("VLLM_SERVER_URL", setup.Error().Key);
    }

    [Fact]
    public void Load_References_ReadTheEnvironment()
    {
        using var setup = Setup.Yaml("api_keys: {alice: env:CLIENT}\nendpoints: [{url: 'http://a', api_key: 'env:KEY', headers: {X-A: env:KEY}, query: {k: env:KEY}}]");
        setup.Environment["KEY"] = " key\n";
        setup.Environment["CLIENT"] = "client";
        var options = setup.Options();
        Assert.Equal(("key", "key", "k=key"), (options.Backends[0].ApiKey, options.Backends[0].Headers[0].Value, options.Backends[0].Query));
        Assert.Equal(new ClientKey("alice", "client"), Assert.Single(options.ClientKeys));
    }

    [Fact]
    public void Load_MissingReference_NamesKeyAndVariable()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a,http://b"), ("LLM_API_KEYS", "x,env:NOT_THERE"));
        var error = setup.Error();
        Assert.Equal("LLM_API_KEYS[1]", error.Key);
        Assert.Contains("NOT_THERE", error.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ClientKeys_NamesAndBareKeys()
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_API_KEYS", "alice=one, bare , YmFzZTY0LQ==,bob=a=b"));
        Assert.Equal([new("alice", "one"), new("key-2", "bare"), new("key-3", "YmFzZTY0LQ=="), new("bob", "a=b")], setup.Options().ClientKeys);
    }

    [Theory]
    [InlineData("a=one,a=two")]
    [InlineData("a=one,b=one")]
    [InlineData("one,,two")]
    [InlineData("=one")]
    [InlineData("a b=one")]
    [InlineData("käse=ö")]
    public void Load_WrongClientKeys_AreAnError(string keys)
    {
        using var setup = Setup.With(("LLM_ENDPOINTS", "http://a"), ("ROADBALANCER_API_KEYS", keys));
        Assert.StartsWith("ROADBALANCER_API_KEYS[", setup.Load().Errors[0].Key, StringComparison.Ordinal);
    }
}
