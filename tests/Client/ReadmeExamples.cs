using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenAI;
using OpenAI.Chat;

namespace Roadbalancer.Tests.Client;

/// <summary>
/// The examples of src/Core/README.md as they stand there, but for the addresses and files in <see cref="Stand"/>, which a test needs to be its own.
/// <see cref="ReadmeTests"/> holds the two equal and runs them.
/// </summary>
internal sealed class ReadmeExamples(string gpu1, string gpu2, string gpu3, string configFile)
{
    /// <summary>What stands in the README for each name used here.</summary>
    public static IReadOnlyDictionary<string, string> Stand { get; } = new Dictionary<string, string>
    {
        ["(gpu1)"] = "(\"http://gpu1:8000/v1\")",
        ["(gpu2)"] = "(\"http://gpu2:8000/v1\")",
        ["(gpu3)"] = "(\"http://gpu3:8000\")",
        ["(gpu1root)"] = "(\"http://gpu1:8000\")",
        ["(azure)"] = "(\"https://my-resource.openai.azure.com/openai/v1\")",
        ["(configFile)"] = "(\"config.yaml\")",
    };

    public static async Task QuickStart(string gpu1, string gpu2)
    {
        // <example: quick-start>
        using var balancer = new LoadBalancer(
            [
                new Endpoint(gpu1) { Weight = 2, Name = "GPU-1", MaxTokens = 8192, Temperature = 0.7 },
                new Endpoint(gpu2) { Weight = 1, Name = "GPU-2", MaxTokens = 4096, Temperature = 0.5 },
            ],
            BalancingStrategy.Weighted, enableHealthCheck: true);

        var response = await balancer.ChatAsync([new("user", "Hello!")]);
        Console.WriteLine(response.Success ? $"{response.Content} ({response.Endpoint})" : response.Error);
        // </example>
        Assert.True(response.Success);
        Assert.Equal("GPU-1", response.Endpoint);
    }

    public static async Task Handler(LoadBalancer balancer)
    {
        // <example: handler>
        using var http = new HttpClient(balancer.CreateHandler());
        var options = new OpenAIClientOptions { Transport = new HttpClientPipelineTransport(http) };
        var client = new OpenAIClient(new ApiKeyCredential("unused"), options);

        ChatCompletion completion = await client.GetChatClient("my-model").CompleteChatAsync(new UserChatMessage("Hello!"));
        Console.WriteLine(completion.Content[0].Text);
        // </example>
        Assert.StartsWith("You said: Hello!", completion.Content[0].Text, StringComparison.Ordinal);
    }

    public static async Task Stream(LoadBalancer balancer)
    {
        // <example: stream>
        await foreach (var delta in balancer.StreamAsync([new("user", "Tell me a story.")], temperature: 0.2, maxTokens: 200))
        {
            Console.Write(delta.Content);
            if (delta.Result is { } result)
            {
                Console.WriteLine(result.Success ? $" ({delta.Usage?.CompletionTokens} tokens)" : $" failed: {result.Error}");
            }
        }
        // </example>
        Assert.Equal(1, balancer.GetStats().TotalSuccess);
    }

    public static async Task Tools(LoadBalancer balancer)
    {
        // <example: tools>
        var weather = new Tool("weather", "The weather in a city.",
            """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""");
        List<Message> messages = [new("user", "Is it raining in Bern?")];

        var asked = await balancer.ChatAsync(messages, [weather]);
        messages.Add(new("assistant", asked.Content) { ToolCalls = asked.ToolCalls });
        foreach (var call in asked.ToolCalls)
        {
            messages.Add(new("tool", "It is raining.") { ToolCallId = call.Id });
        }

        var answered = await balancer.ChatAsync(messages, [weather]);
        Console.WriteLine(answered.Content);
        // </example>
        Assert.True(asked.Success && answered.Success, asked.Error ?? answered.Error);
    }

    public static async Task Embed(LoadBalancer balancer)
    {
        // <example: embed>
        var embedded = await balancer.EmbedAsync(["first text", "second text"], model: "my-embedder");
        Console.WriteLine(embedded.Success ? $"{embedded.Embeddings.Count} vectors" : embedded.Error);
        // </example>
        Assert.Equal(2, embedded.Embeddings.Count);
    }

    public static void Synchronous(LoadBalancer balancer)
    {
        // <example: sync>
        var response = balancer.Chat([new("user", "Hello!")]);
        // </example>
        Assert.True(response.Success);
    }

    public async Task FromConfig()
    {
        // <example: from-config>
        using var balancer = LoadBalancer.FromConfig(configFile);
        // </example>
        Assert.True((await balancer.ChatAsync([new("user", "Hello!")])).Success);
    }

    public static async Task Services(IConfiguration configuration)
    {
        var services = new ServiceCollection();
        // <example: services>
        services.AddRoadbalancer(configuration);
        // </example>
        await using var provider = services.BuildServiceProvider();
        Assert.True((await provider.GetRequiredService<LoadBalancer>().ChatAsync([new("user", "Hello!")])).Success);
    }

    public async Task Settings()
    {
        var (gpu1root, azure) = (gpu1, gpu2);
        // <example: settings>
        using var balancer = new LoadBalancer(
            [
                new(gpu1root) { ModelName = "my-model", Priority = 0, Tags = ["fast"] },
                new(azure) { ApiKey = "env:AZURE_KEY", Auth = EndpointAuth.ApiKey, Priority = 1 },
            ],
            new LoadBalancerSettings
            {
                Strategy = BalancingStrategy.ResponseTime,
                RetryCount = 1,
                HealthCheckInterval = TimeSpan.FromSeconds(10),
                StreamRecovery = StreamRecoveryMode.Replay,
                More = new Dictionary<string, string> { ["hedge_after"] = "p95" },
            });
        // </example>
        Assert.True((await balancer.ChatAsync([new("user", "Hello!")])).Success);
    }

    public void Endpoints(LoadBalancer balancer)
    {
        // <example: endpoints>
        balancer.AddEndpoint(new(gpu3));
        var wasThere = balancer.RemoveEndpoint(gpu1);
        // </example>
        Assert.True(wasThere);
    }

    public static void Stats(LoadBalancer balancer)
    {
        // <example: stats>
        var stats = balancer.GetStats();
        Console.WriteLine($"{stats.HealthyEndpoints} of {stats.TotalEndpoints} healthy, {stats.SuccessRate} of {stats.TotalRequests} requests");
        var flat = stats.ToDictionary();
        Console.WriteLine(flat["success_rate"]);
        // </example>
        Assert.Equal(stats.SuccessRate, flat["success_rate"]);
    }
}
