using Roadbalancer.Options;

namespace Roadbalancer.Tests.Options;

/// <summary>Where the program listens, and the warning when that is more than this machine.</summary>
public sealed class ListeningTests
{
    private static OptionsResult Load(string arguments, params ReadOnlySpan<(string Name, string Value)> variables)
    {
        using var setup = Setup.With(variables);
        setup.Environment["LLM_ENDPOINTS"] = "http://a";
        setup.Arguments.AddRange(arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        return setup.Load();
    }

    [Theory]
    [InlineData("", "", "", "http://127.0.0.1:5000")]
    [InlineData("", "0.0.0.0", "", "http://0.0.0.0:5000")]
    [InlineData("", "*", "8080", "http://*:8080")]
    [InlineData("", "::1", "0", "http://[::1]:0")]
    [InlineData("", "[::]", "1", "http://[::]:1")]
    [InlineData("", "LocalHost", "1", "http://localhost:1")]
    [InlineData("--host 127.0.0.3 --port 9", "0.0.0.0", "1", "http://127.0.0.3:9")]
    [InlineData("--urls http://127.0.0.1:1;http://[::1]:2/;http://+:3;http://localhost --port 9", "0.0.0.0", "1", "http://127.0.0.1:1 http://[::1]:2 http://*:3 http://localhost:80")]
    public void Load_HostPortAndUrls_GiveListenUrls(string arguments, string host, string port, string expected)
    {
        var result = Load(arguments, ("HOST", host), ("PORT", port));
        Assert.Empty(result.Errors);
        Assert.Equal(expected.Split(' '), result.Host!.ListenUrls);
        Assert.False(result.Host.BehindFunctionsHost);
    }

    [Fact]
    public void Load_UnderTheFunctionsHost_ItsPortAloneCounts()
    {
        var result = Load("--urls nonsense", ("FUNCTIONS_CUSTOMHANDLER_PORT", "7071"), ("HOST", "0.0.0.0"), ("PORT", "1"), ("ASPNETCORE_URLS", "http://*:2"));
        Assert.Equal(["http://127.0.0.1:7071"], result.Host!.ListenUrls);
        Assert.True(result.Host.BehindFunctionsHost);
    }

    [Theory]
    [InlineData("--urls https://a:1", "--urls")]
    [InlineData("--urls 127.0.0.1:1", "--urls")]
    [InlineData("--urls http://example.com:1", "--urls")]
    [InlineData("--urls http://127.0.0.1:x", "--urls")]
    [InlineData("--urls http://127.0.0.1:65536", "--urls")]
    [InlineData("--urls http://127.0.0.1:1/path", "--urls")]
    [InlineData("--urls ;", "--urls")]
    [InlineData("--urls http://localhost:0", "--urls")]
    [InlineData("--host 5", "--host")]
    [InlineData("--host example.com", "--host")]
    [InlineData("--port 65536", "--port")]
    [InlineData("--port=-1", "--port")]
    [InlineData("--host localhost --port 0", "port")]
    public void Load_WrongAddress_IsOneError(string arguments, string key) => Assert.Equal(key, Assert.Single(Load(arguments).Errors).Key);

    [Fact]
    public void Load_WrongFunctionsPort_IsOneError() =>
        Assert.Equal("FUNCTIONS_CUSTOMHANDLER_PORT", Assert.Single(Load("", ("FUNCTIONS_CUSTOMHANDLER_PORT", "x")).Errors).Key);

    [Theory]
    [InlineData("", false)]
    [InlineData("--host ::1", false)]
    [InlineData("--host localhost", false)]
    [InlineData("--host 0.0.0.0", true)]
    [InlineData("--host *", true)]
    [InlineData("--host 10.0.0.1", true)]
    [InlineData("--urls http://127.0.0.1:1;http://[::]:1", true)]
    public void Load_OpenBeyondLoopback_Warns(string arguments, bool warns)
    {
        Assert.Equal(warns, Load(arguments).Warnings.Any(warning => warning.Contains("ROADBALANCER_API_KEYS", StringComparison.Ordinal)));
        Assert.Empty(Load(arguments, ("ROADBALANCER_API_KEYS", "k")).Warnings);
    }

    [Fact]
    public void Load_OpenBehindTheFunctionsHost_Warns() =>
        Assert.Contains("ROADBALANCER_API_KEYS", Assert.Single(Load("", ("FUNCTIONS_CUSTOMHANDLER_PORT", "1")).Warnings), StringComparison.Ordinal);

    [Fact]
    public void Load_AspNetCoreUrls_AreIgnoredWithAWarning()
    {
        var result = Load("", ("ASPNETCORE_URLS", "http://*:2"));
        Assert.Equal(["http://127.0.0.1:5000"], result.Host!.ListenUrls);
        Assert.Contains("ASPNETCORE_URLS", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }
}
