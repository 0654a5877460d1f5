using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Where endpoints and settings come from, how they come and go, and what is counted of them.</summary>
public class EndpointTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Constructor_NoEndpoint_Throws()
    {
        Assert.Throws<ArgumentException>(() => new LoadBalancer([]));
        Assert.Throws<ArgumentException>(() => new LoadBalancer([null!]));
        Assert.Throws<ArgumentNullException>(() => new LoadBalancer(null!));
    }

    [Fact]
    public void Constructor_SeveralBadValues_TellsThemAll()
    {
        var thrown = Assert.Throws<ArgumentException>(() => new LoadBalancer(
            [new("ftp://x") { ApiKey = "secret-key" }, new("http://y") { Weight = -1, Temperature = 3 }],
            new LoadBalancerSettings { RetryCount = 1000, More = new Dictionary<string, string> { ["no_such"] = "1" } }));

        Assert.All(["endpoints[0].url", "endpoints[1].weight", "endpoints[1].temperature", "retry_count", "no_such"], key => Assert.Contains(key, thrown.Message, StringComparison.Ordinal));
        Assert.DoesNotContain("secret-key", thrown.Message, StringComparison.Ordinal);
        Assert.Equal("endpoints", thrown.ParamName);
    }

    [Fact]
    public void ToNode_Endpoint_HasEveryKeyOfABackend()
    {
        var endpoint = new Endpoint("http://x")
        {
            Name = "n",
            ApiKey = "k",
            Headers = new Dictionary<string, string>(),
            Query = "a=b",
            MaxConnections = 1,
            Tags = [],
            ModelName = "m",
            Models = new Dictionary<string, string>(),
            MaxTokens = 1,
            Temperature = 1,
            HealthPath = "p",
            Timeout = TimeSpan.FromSeconds(1),
            ConnectTimeout = TimeSpan.FromSeconds(1),
            FirstTokenTimeout = TimeSpan.FromSeconds(1),
            StreamIdleTimeout = TimeSpan.FromSeconds(1),
        };

        Assert.Equal(BackendTable.Keys.Order(), endpoint.ToNode().Entries.Select(entry => entry.Key).Order());
        Assert.DoesNotContain("k", endpoint.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(BalancingStrategy.RoundRobin, "round_robin")]
    [InlineData(BalancingStrategy.WeightedRoundRobin, "weighted_round_robin")]
    [InlineData(BalancingStrategy.LeastConnections, "least_connections")]
    [InlineData(BalancingStrategy.Random, "random")]
    [InlineData(BalancingStrategy.ConsistentHash, "consistent_hash")]
    [InlineData(BalancingStrategy.ResponseTime, "response_time")]
    public async Task Constructor_Strategy_IsTheServersOfThatName(BalancingStrategy strategy, string name)
    {
        await using var balancer = new LoadBalancer([new("http://127.0.0.1:1")], strategy, enableHealthCheck: false);

        Assert.Equal(name, balancer.GetStats().Strategy);
    }

    [Fact]
    public void BalancingStrategy_Alias_IsTheSameStrategy() => Assert.Equal(
        (BalancingStrategy.WeightedRoundRobin, BalancingStrategy.LeastConnections), (BalancingStrategy.Weighted, BalancingStrategy.LeastConn));

    [Fact]
    public async Task ChatAsync_Weighted_SharesByWeight()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var two = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = new LoadBalancer(
            [new(one.BaseUrl.AbsoluteUri) { Weight = 2 }, new(two.BaseUrl.AbsoluteUri)], BalancingStrategy.Weighted, enableHealthCheck: false);

        for (var call = 0; call < 6; call++)
        {
            await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);
        }

        Assert.Equal((4, 2), (one.Requests.Count, two.Requests.Count));
    }

    [Fact]
    public async Task Constructor_HealthCheck_ProbesAtOnceAndFindsTheDead()
    {
        await using var living = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var dead = await Balancers.DeadAsync();
        await using var balancer = Balancers.Over(new LoadBalancerSettings { FailureThreshold = 1 }, living, dead);

        await Await.Until(() => balancer.GetStats().HealthyEndpoints == 1, "the dead endpoint is known");
        await Await.Until(() => balancer.GetStats().Endpoints[0].LastCheckTime is not null, "the living one has been probed");

        Assert.Equal(("healthy", "unhealthy"), (balancer.GetStats().Endpoints[0].Status, balancer.GetStats().Endpoints[1].Status));
    }

    [Fact]
    public async Task AddEndpoint_SecondEndpoint_TakesItsTurn()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var two = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(one);

        balancer.AddEndpoint(new(two.BaseUrl.AbsoluteUri) { Name = "new" });
        balancer.AddEndpoint(new(two.BaseUrl.AbsoluteUri) { Weight = 0 });
        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);
        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);

        Assert.Equal((1, 1), (one.Requests.Count, two.Requests.Count));
        Assert.Equal(["a", "new", $"127.0.0.1:{two.Port}"], balancer.GetStats().Endpoints.Select(endpoint => endpoint.Name));
        Assert.Contains("NEW", Assert.Throws<ArgumentException>(() => balancer.AddEndpoint(new("http://x") { Name = "NEW" })).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => balancer.AddEndpoint(new("nonsense")));
    }

    [Fact]
    public async Task RemoveEndpoint_OneOfTwo_GetsNoMoreRequests()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var two = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = Balancers.Over(one, two);

        Assert.True(balancer.RemoveEndpoint($"http://127.0.0.1:{one.Port}/v1/"));
        Assert.False(balancer.RemoveEndpoint($"http://127.0.0.1:{one.Port}"));
        Assert.False(balancer.RemoveEndpoint("nonsense"));
        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);
        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);

        Assert.Equal((0, 2), (one.Requests.Count, two.Requests.Count));
        Assert.Throws<InvalidOperationException>(() => balancer.RemoveEndpoint(two.BaseUrl.AbsoluteUri));
        Assert.Equal(1, balancer.GetStats().TotalEndpoints);
    }

    [Fact]
    public async Task GetStats_BeforeAndAfterCalls_CountsAndFormats()
    {
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var balancer = Balancers.Over(good, bad);
        Assert.Equal("N/A", balancer.GetStats().SuccessRate);

        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);
        await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);
        var stats = balancer.GetStats();
        var flat = stats.ToDictionary();

        Assert.Equal((2L, 1L, "66.67%"), (stats.TotalSuccess, stats.TotalFailures, stats.SuccessRate));
        Assert.Equal(("66.67%", 2L, "round_robin"), ((string)flat["success_rate"]!, (long)flat["total_success"]!, (string)flat["strategy"]!));
        var endpoint = ((IReadOnlyList<IReadOnlyDictionary<string, object?>>)flat["endpoints"]!)[0];
        Assert.Equal(("a", "100.00%"), ((string)endpoint["name"]!, (string)endpoint["success_rate"]!));
    }

    [Fact]
    public async Task FromEnv_FamilyA_BalancesOverItsEndpoints()
    {
        await using var one = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var balancer = LoadBalancer.FromEnv(
            new Dictionary<string, string>
            {
                ["LLM_ENDPOINTS"] = $"{one.BaseUrl},http://127.0.0.1:1",
                ["LLM_STRATEGY"] = "weighted",
                ["LLM_WEIGHTS"] = "1,0",
                ["LLM_HEALTH_CHECK"] = "false",
                ["ROADBALANCER_API_KEYS"] = "clients-only",
            }, null);

        var result = await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token);

        Assert.True(result.Success);
        Assert.Equal("weighted_round_robin", balancer.GetStats().Strategy);
    }

    [Fact]
    public async Task FromEnv_BothFamilies_FamilyBWins()
    {
        await using var balancer = LoadBalancer.FromEnv(
            new Dictionary<string, string> { ["LLM_ENDPOINTS"] = "http://a", ["LLM_BACKENDS"] = """[{"name":"b","url":"http://127.0.0.1:1"}]""", ["LLM_HEALTH_CHECK"] = "false" }, null);

        Assert.Equal("b", Assert.Single(balancer.GetStats().Endpoints).Name);
    }

    [Fact]
    public void FromEnv_Nothing_Throws() =>
        Assert.Contains("LLM_ENDPOINTS", Assert.Throws<ArgumentException>(() => LoadBalancer.FromEnv(new Dictionary<string, string>(), null)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("c.yaml", "strategy: random\nhealth_check: false\nendpoints:\n  - {url: URL, name: x}\n")]
    [InlineData("c.json", """{"strategy":"random","health_check":{"enabled":false},"endpoints":[{"url":"URL","name":"x"}]}""")]
    public async Task FromConfig_YamlOrJson_IsTheServersFile(string name, string text)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var folder = Directory.CreateTempSubdirectory("roadbalancer-client-");
        var path = Path.Combine(folder.FullName, name);
        await File.WriteAllTextAsync(path, text.Replace("URL", upstream.BaseUrl.AbsoluteUri, StringComparison.Ordinal), Token);
        try
        {
            await using var balancer = LoadBalancer.FromConfig(path);

            Assert.Equal("x", (await balancer.ChatAsync([new("user", "Hello")], cancellationToken: Token)).Endpoint);
            Assert.Equal("random", balancer.GetStats().Strategy);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void FromConfig_NoFile_SaysSo()
    {
        Assert.Contains("no such file", Assert.Throws<ArgumentException>(() => LoadBalancer.FromConfig("/no/such/file.yaml")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => LoadBalancer.FromConfig(" "));
    }

    [Fact]
    public async Task AddRoadbalancer_Section_RegistersBalancerHandlerAndClient()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Roadbalancer:Strategy"] = "least_conn",
            ["Roadbalancer:health_check:enabled"] = "false",
            ["Roadbalancer:RetryCount"] = "1",
            ["Roadbalancer:Endpoints:0:Url"] = upstream.BaseUrl.AbsoluteUri,
            ["Roadbalancer:Endpoints:0:Name"] = "x",
            ["Roadbalancer:Endpoints:0:Headers:X-Own"] = "1",
        });
        builder.Services.AddRoadbalancer(builder.Configuration);
        using var host = builder.Build();
        await host.StartAsync(Token);

        var balancer = host.Services.GetRequiredService<LoadBalancer>();
        using var direct = new HttpMessageInvoker(host.Services.GetRequiredService<HttpMessageHandler>());
        using var named = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient(RoadbalancerServiceCollectionExtensions.HttpClientName);
        using var one = await direct.SendAsync(new HttpRequestMessage(HttpMethod.Get, "http://x/v1/things"), Token);
        using var two = await named.GetAsync("http://x/v1/things", Token);

        Assert.Equal("least_connections", balancer.GetStats().Strategy);
        Assert.All(upstream.Requests, request => Assert.Equal("1", request.Header("X-Own")));
        Assert.Equal(2, upstream.Requests.Count);
        await host.StopAsync(Token);
    }

    [Fact]
    public async Task AddRoadbalancer_Variables_AreReadFromTheConfiguration()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["LLM_ENDPOINTS"] = "http://127.0.0.1:1",
            ["LLM_HEALTH_CHECK"] = "false",
            ["PORT"] = "not one",
        }).Build();
        await using var services = new ServiceCollection().AddRoadbalancer(configuration).BuildServiceProvider();

        Assert.Equal(1, services.GetRequiredService<LoadBalancer>().GetStats().TotalEndpoints);
    }

    [Fact]
    public async Task AddRoadbalancer_NothingConfigured_StopsTheHostAtItsStart()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddRoadbalancer(builder.Configuration);
        using var host = builder.Build();

        await Assert.ThrowsAsync<ArgumentException>(() => host.StartAsync(Token));
    }
}
