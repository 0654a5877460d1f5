using System.Net;
using System.Net.Sockets;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Processes;

/// <summary>The program from its start: what it takes as settings, what it says, and how it refuses.</summary>
public sealed class StartTests
{
    private const string Secret = "sk-planted-in-the-settings";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Demo_NothingElse_BalancesOverThreeBackends()
    {
        await using var program = await ProgramProcess.Start("--demo").ListenAsync();

        var backends = new HashSet<string>();
        for (var i = 0; i < 6; i++)
        {
            using var response = await program.ChatAsync(stream: i % 2 == 0, model: "demo-model");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Contains("load", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
            backends.Add(response.Headers.GetValues("X-Backend").Single());
        }

        Assert.Subset(new HashSet<string> { "fast", "slow", "flaky" }, backends);
        Assert.True(backends.Count >= 2, $"only {string.Join(' ', backends)} answered");
        await program.SaysAsync("Mode: balancing over 3 backends by round_robin");
        await program.SaysAsync("Try: curl -N http://127.0.0.1:");
        program.Terminate();
        Assert.Equal(0, await program.ExitCodeAsync());
    }

    [Fact]
    public async Task Demo_BesideAConfigurationFile_IsTheDemoAndSaysSo()
    {
        await using var program = await ProgramProcess.Start("--demo", "strategy: fastest\nendpoints: [{url: 'http://127.0.0.1:1', name: mine}]").ListenAsync();

        await program.SaysAsync("Mode: balancing over 3 backends by round_robin");
        await program.SaysAsync($"The demo leaves {Path.Combine(program.Folder, "config.yaml")} alone");
        await program.SaysAsync("Try: curl -N http://127.0.0.1:");
        Assert.DoesNotContain("mine", program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NoBackend_AnyStart_EndsWithTwoAndTheShortestSetting()
    {
        await using var program = ProgramProcess.Start();

        Assert.Equal(2, await program.ExitCodeAsync());
        Assert.Contains("""LLM_BACKENDS='[{"url":"http://localhost:8000"}]'""", program.Output, StringComparison.Ordinal);
        Assert.Contains("--demo", program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SeveralErrors_AtOnce_AreAllNamedWithoutSecrets()
    {
        await using var program = ProgramProcess.Start("--log-level loud", $"""
            strategy: fastest
            retry_count: -1
            endpoints:
              - url: ftp://somewhere
                api_key: {Secret}
                weight: heavy
              - name: second
                api_key: {Secret}-two
            """);

        Assert.Equal(2, await program.ExitCodeAsync());
        Assert.All((string[])["strategy", "fastest", "retry_count", "-1", "ftp://somewhere", "weight", "heavy", "--log-level", "loud", "url"],
            word => Assert.Contains(word, program.Output, StringComparison.Ordinal));
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FamilyA_FromEnvironment_IsServed()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("from one"));
        await using var two = ScriptedUpstream.Start(Scripts.Chat("from two"));
        await using var program = await ProgramProcess.Start("", null,
            ("LLM_ENDPOINTS", $"{one.BaseUrl},{two.BaseUrl}"), ("LLM_API_KEYS", $"{Secret}-one,{Secret}-two"), ("LLM_WEIGHTS", "2,1"), ("LLM_STRATEGY", "weighted"), ("LLM_MAX_TOKENS", "17")).ListenAsync();

        await AskAsync(program, 6);

        Assert.Equal((4, 2), (one.Requests.Count, two.Requests.Count));
        Assert.All(one.Requests, request => Assert.Equal(($"Bearer {Secret}-one", "17"), (request.Header("Authorization"), request.Property("max_tokens")?.ToString())));
        Assert.All(two.Requests, request => Assert.Equal(($"Bearer {Secret}-two", null), (request.Header("Authorization"), request.Property("max_tokens")?.ToString())));
        await program.SaysAsync("Mode: balancing over 2 backends by weighted");
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FamilyB_FromEnvironment_WinsOverFamilyAAndSaysSo()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("from one"));
        await using var ignored = ScriptedUpstream.Start(Scripts.Chat("from nobody"));
        await using var program = await ProgramProcess.Start("", null,
            ("LLM_BACKENDS", $$"""[{"name":"one","url":"{{one.BaseUrl}}","model_name":"real","api_key":"{{Secret}}","priority":1,"tags":["gpu"]}]"""),
            ("LLM_ENDPOINTS", ignored.BaseUrl.AbsoluteUri), ("MAX_RETRIES", "1"), ("LOAD_BALANCE_STRATEGY", "least_conn"), ("LOAD_BALANCE_ENABLED", "true")).ListenAsync();

        await AskAsync(program, 3);

        Assert.All(one.Requests, request => Assert.Equal(("real", $"Bearer {Secret}"), (request.Property("model")?.GetString(), request.Header("Authorization"))));
        Assert.Equal((3, 0), (one.Requests.Count, ignored.Requests.Count));
        await program.SaysAsync("Mode: one backend with balancing");
        Assert.Contains("LLM_ENDPOINTS", program.Output, StringComparison.Ordinal);
        Assert.Contains("LLM_BACKENDS is set and wins", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SingleBackend_WithoutBalancing_IsAnnouncedAndGoesStraight()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Status(500));
        await using var program = await ProgramProcess.Start("", null, ("VLLM_SERVER_URL", upstream.BaseUrl.AbsoluteUri), ("API_KEY", Secret)).ListenAsync();

        using var response = await program.ChatAsync();

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Single(upstream.Requests);
        Assert.Empty(upstream.Probes);
        await program.SaysAsync("Mode: single backend without balancing");
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoadBalanceDisabled_SeveralBackends_UsesTheFirstAlone()
    {
        await using var first = ScriptedUpstream.Start(Scripts.Chat("first"));
        await using var second = ScriptedUpstream.Start(Scripts.Chat("second"));
        await using var program = await ProgramProcess.Start("", null,
            ("LLM_BACKENDS", $$"""[{"url":"{{first.BaseUrl}}"},{"url":"{{second.BaseUrl}}"}]"""), ("LOAD_BALANCE_ENABLED", "false")).ListenAsync();

        await AskAsync(program, 4);

        Assert.Equal((4, 0), (first.Requests.Count, second.Requests.Count));
        Assert.Contains("balancing is switched off", program.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://0.0.0.0:0", false, true)]
    [InlineData("http://*:0", false, true)]
    [InlineData("http://0.0.0.0:0", true, false)]
    [InlineData("http://127.0.0.1:0", false, false)]
    public async Task Listening_BeyondLoopback_WarnsUnlessKeysAreAsked(string url, bool hasKeys, bool warns)
    {
        await using var program = await ProgramProcess.Start($"--urls {url}", null,
            [("LLM_ENDPOINTS", "http://127.0.0.1:9"), .. hasKeys ? [("ROADBALANCER_API_KEYS", $"team={Secret}")] : Array.Empty<(string, string)>()]).ListenAsync();
        await program.SaysAsync("127.0.0.1:9: http://127.0.0.1:9/v1");

        Assert.Equal(warns ? 1 : 0, Count(program.Output, "set ROADBALANCER_API_KEYS"));
        Assert.DoesNotContain(Secret, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PortInUse_AnyStart_EndsWithOneAndAClearLine()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        var port = ((IPEndPoint)taken.LocalEndPoint!).Port;
        await using var program = ProgramProcess.Start($"--port {port}", null, ("LLM_ENDPOINTS", "http://127.0.0.1:9"));

        Assert.Equal(1, await program.ExitCodeAsync());
        Assert.Contains($"Cannot listen on http://127.0.0.1:{port}: ", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Simulate_Port_AnswersUntilTerminated()
    {
        await using var program = ProgramProcess.Start("--simulate 0 0");
        await program.SaysAsync("simulated LLM backend on http://127.0.0.1:");
        await Await.Until(() => Count(program.Output, "simulated LLM backend on") == 2, "both are named");
        using var http = new HttpClient();

        foreach (var line in program.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var url = line.Split(' ').Single(word => word.StartsWith("http://", StringComparison.Ordinal));
            using var response = await http.PostAsync($"{url}/chat/completions", new StringContent(BalancerHost.ChatJson()), Token);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        program.Terminate();
        Assert.Equal(0, await program.ExitCodeAsync());
    }

    [Theory]
    [InlineData("--help", 0, "Usage: roadbalancer")]
    [InlineData("--version", 0, "Roadbalancer 0.")]
    [InlineData("--frobnicate", 2, "--frobnicate")]
    public async Task Arguments_ThatStartNothing_EndAtOnce(string arguments, int exitCode, string says)
    {
        await using var program = ProgramProcess.Start(arguments);

        Assert.Equal(exitCode, await program.ExitCodeAsync());
        Assert.Contains(says, program.Output, StringComparison.Ordinal);
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;

    private static async Task AskAsync(ProgramProcess program, int times)
    {
        for (var i = 0; i < times; i++)
        {
            using var response = await program.ChatAsync();
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
    }
}
