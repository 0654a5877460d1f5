using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using Roadbalancer.Simulation;

namespace Roadbalancer.Tests.Simulation;

/// <summary>The simulation as the official client sees it.</summary>
public sealed class SimulatedBackendClientTests : IAsyncLifetime
{
    private RunningSimulation _simulation = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() =>
        _simulation = await SimulatedBackend.StartAsync(new SimulatedBackend { Name = "one", Models = ["m"] }, TimeProvider.System, Token);

    public ValueTask DisposeAsync() => _simulation.DisposeAsync();

    [Fact]
    public async Task CompleteChat_PlainRequest_EchoesTheUserAndCountsWords()
    {
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("What is \"load\" balancing?")], cancellationToken: Token);

        Assert.StartsWith("You said: What is \"load\" balancing? ... A load balancer", completion.Content[0].Text, StringComparison.Ordinal);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.Equal(completion.Content[0].Text.Split(' ').Length, completion.Usage.OutputTokenCount);
        Assert.Equal(4, completion.Usage.InputTokenCount);
        Assert.StartsWith("chatcmpl-one-", completion.Id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_SameRequest_GivesTheSameTextWithUsage()
    {
        ChatMessage[] messages = [new SystemChatMessage("Be brief."), new UserChatMessage("Hello")];
        ChatCompletion whole = await Chat().CompleteChatAsync(messages, cancellationToken: Token);

        var updates = await CollectAsync(Chat().CompleteChatStreamingAsync(messages, cancellationToken: Token));

        Assert.Equal(whole.Content[0].Text, string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)));
        Assert.Equal(ChatMessageRole.Assistant, updates[0].Role);
        Assert.Equal(ChatFinishReason.Stop, Assert.Single(updates, update => update.FinishReason is not null).FinishReason);
        Assert.Equal(whole.Usage.TotalTokenCount, updates[^1].Usage.TotalTokenCount);
        Assert.Single(updates.Select(update => update.CompletionId).Distinct());
    }

    [Fact]
    public async Task CompleteChat_TokenLimit_EndsWithLength()
    {
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("Hello")], new ChatCompletionOptions { MaxOutputTokenCount = 3 }, Token);

        Assert.Equal(("You said: Hello", ChatFinishReason.Length, 3), (completion.Content[0].Text, completion.FinishReason, completion.Usage.OutputTokenCount));
    }

    [Fact]
    public async Task CompleteChat_ToolAskedFor_CallsTheFirstTool()
    {
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("Use a tool")], WithTools(), Token);

        var call = Assert.Single(completion.ToolCalls);
        Assert.Equal(("weather", "{}", ChatFinishReason.ToolCalls), (call.FunctionName, call.FunctionArguments.ToString(), completion.FinishReason));
    }

    [Fact]
    public async Task CompleteChatStreaming_ToolAskedFor_StreamsTheCall()
    {
        var updates = await CollectAsync(Chat().CompleteChatStreamingAsync([new UserChatMessage("Use a tool")], WithTools(), Token));

        var parts = updates.SelectMany(update => update.ToolCallUpdates).ToArray();
        Assert.Equal("weather", parts[0].FunctionName);
        Assert.Equal("{}", string.Concat(parts.Select(part => part.FunctionArgumentsUpdate?.ToString())));
        Assert.Contains(updates, update => update.FinishReason == ChatFinishReason.ToolCalls);
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_IsNotFound()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Chat("other").CompleteChatAsync([new UserChatMessage("Hello")], cancellationToken: Token));

        Assert.Equal(404, error.Status);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, 16)]
    [InlineData(1536, 1536)]
    public async Task GenerateEmbeddings_SeveralInputs_GivesAUnitVectorForEach(int? dimensions, int expected)
    {
        OpenAIEmbeddingCollection vectors = await Client().GetEmbeddingClient("m").GenerateEmbeddingsAsync(["a", "b", "a"], new EmbeddingGenerationOptions { Dimensions = dimensions }, Token);

        var floats = vectors.Select(vector => vector.ToFloats().ToArray()).ToArray();
        Assert.All(floats, vector => Assert.Equal((expected, 1.0), (vector.Length, Math.Round(vector.Sum(value => (double)value * value), 4))));
        Assert.Equal(floats[0], floats[2]);
        Assert.NotEqual(floats[0], floats[1]);
    }

    [Fact]
    public async Task GetModels_ProfileWithModels_ListsThem()
    {
        var models = await Client().GetOpenAIModelClient().GetModelsAsync(Token);

        Assert.Equal("m", Assert.Single(models.Value).Id);
    }

    private static ChatCompletionOptions WithTools() => new() { Tools = { ChatTool.CreateFunctionTool("weather", "The weather."), ChatTool.CreateFunctionTool("other") } };

    private static async Task<List<StreamingChatCompletionUpdate>> CollectAsync(AsyncCollectionResult<StreamingChatCompletionUpdate> stream)
    {
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in stream.WithCancellation(Token))
        {
            updates.Add(update);
        }

        return updates;
    }

    private ChatClient Chat(string model = "m") => Client().GetChatClient(model);

    private OpenAIClient Client() => new(new ApiKeyCredential("any"), new OpenAIClientOptions { Endpoint = _simulation.BaseUrl, RetryPolicy = new ClientRetryPolicy(0) });
}
