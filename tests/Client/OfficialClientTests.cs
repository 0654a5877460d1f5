using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>The official .NET client, unchanged, on the handler; one of three endpoints is dead all the time.</summary>
public sealed class OfficialClientTests : IAsyncLifetime
{
    private readonly List<IAsyncDisposable> _running = [];
    private LoadBalancer _balancer = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var dead = await Balancers.DeadAsync();
        var one = await SimulatedBackend.StartAsync(new SimulatedBackend { Name = "one", Models = ["m"] }, TimeProvider.System, Token);
        var two = await SimulatedBackend.StartAsync(new SimulatedBackend { Name = "two", Models = ["m", "n"] }, TimeProvider.System, Token);
        _balancer = new LoadBalancer(
            [new(dead.BaseUrl.AbsoluteUri) { Name = "dead" }, new(one.BaseUrl.AbsoluteUri) { Name = "one" }, new(two.BaseUrl.AbsoluteUri) { Name = "two" }],
            enableHealthCheck: false);
        _running.AddRange([_balancer, one, two, dead]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var running in _running)
        {
            await running.DisposeAsync();
        }
    }

    [Fact]
    public async Task CompleteChat_OneOfThreeDead_EveryCallAnswers()
    {
        for (var call = 0; call < 4; call++)
        {
            ChatCompletion completion = await Client().GetChatClient("m").CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: Token);

            Assert.StartsWith("You said: Hello", completion.Content[0].Text, StringComparison.Ordinal);
            Assert.True(completion.Usage.OutputTokenCount > 0);
        }
    }

    [Fact]
    public async Task CompleteChat_Synchronously_Answers()
    {
        var chat = Client().GetChatClient("m");

        ChatCompletion completion = await Task.Run(() => chat.CompleteChat([new UserChatMessage("Hello")], cancellationToken: Token), Token);

        Assert.StartsWith("You said: Hello", completion.Content[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_OneOfThreeDead_GivesTheWholeTextAndUsage()
    {
        for (var call = 0; call < 3; call++)
        {
            var text = "";
            long? tokens = null;
            await foreach (var update in Client().GetChatClient("m").CompleteChatStreamingAsync([new UserChatMessage("Hello")], cancellationToken: Token))
            {
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
                tokens = update.Usage?.OutputTokenCount ?? tokens;
            }

            Assert.StartsWith("You said: Hello", text, StringComparison.Ordinal);
            Assert.Equal(text.Split(' ').Length, tokens);
        }
    }

    [Fact]
    public async Task CompleteChatStreaming_Synchronously_GivesTheWholeText()
    {
        var chat = Client().GetChatClient("m");

        var text = await Task.Run(
            () => string.Concat(chat.CompleteChatStreaming([new UserChatMessage("Hello")], cancellationToken: Token).SelectMany(update => update.ContentUpdate).Select(part => part.Text)), Token);

        Assert.StartsWith("You said: Hello", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChat_ToolAskedFor_CallsTheTool()
    {
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "The weather.") } };
        for (var call = 0; call < 3; call++)
        {
            ChatCompletion completion = await Client().GetChatClient("m").CompleteChatAsync([new UserChatMessage("Use a tool")], options, Token);

            Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
            Assert.Equal("weather", Assert.Single(completion.ToolCalls).FunctionName);
        }
    }

    [Fact]
    public async Task GenerateEmbeddings_OneOfThreeDead_GivesAVectorForEach()
    {
        for (var call = 0; call < 3; call++)
        {
            OpenAIEmbeddingCollection vectors = await Client().GetEmbeddingClient("m").GenerateEmbeddingsAsync(["a", "b"], cancellationToken: Token);

            Assert.Equal(2, vectors.Count);
            Assert.Equal(16, vectors[0].ToFloats().Length);
        }
    }

    [Fact]
    public async Task GetModels_OneOfThreeDead_IsTheUnionOfTheLiving()
    {
        var models = await Client().GetOpenAIModelClient().GetModelsAsync(Token);

        Assert.Equal(["m", "n"], models.Value.Select(model => model.Id).Order());
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_IsTheApisError()
    {
        // The dead one might have it: only what every endpoint denies does not exist.
        _balancer.RemoveEndpoint(_balancer.GetStats().Endpoints[0].Url);

        var error = await Assert.ThrowsAsync<ClientResultException>(() => Client().GetChatClient("absent").CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: Token));

        Assert.Equal(404, error.Status);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://localhost:1/v1")]
    [InlineData("http://localhost:1")]
    [InlineData("https://no.such.host.invalid/some/where/v1/")]
    public async Task CompleteChat_AnyBaseAddress_IsNotConnectedTo(string address)
    {
        ChatCompletion completion = await Client(address).GetChatClient("m").CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: Token);

        Assert.NotEmpty(completion.Content[0].Text);
    }

    private OpenAIClient Client(string? address = null)
    {
        var options = new OpenAIClientOptions { Transport = new HttpClientPipelineTransport(new HttpClient(_balancer.CreateHandler())), RetryPolicy = new ClientRetryPolicy(0) };
        if (address is not null)
        {
            options.Endpoint = new Uri(address);
        }

        return new OpenAIClient(new ApiKeyCredential("unused"), options);
    }
}
