using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Clients;

/// <summary>The official .NET client through the balancer, one of three backends dead.</summary>
public sealed class DotNetClientTests(Trio trio) : IClassFixture<Trio>
{
    private const string Answer = "Every word of this answer arrives once and in its order";

    private static readonly ChatMessage[] Messages = [new UserChatMessage("Good morning")];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetModels_OneBackendDead_ListsTheModel()
    {
        OpenAIModelCollection models = await Client().GetOpenAIModelClient().GetModelsAsync(Token);

        Assert.Equal(Trio.Model, Assert.Single(models).Id);
    }

    [Fact]
    public async Task GetModel_KnownModel_ReturnsIt()
    {
        OpenAIModel model = await Client().GetOpenAIModelClient().GetModelAsync(Trio.Model, Token);

        Assert.Equal(Trio.Model, model.Id);
    }

    [Fact]
    public async Task CompleteChat_OneBackendDead_EveryRequestAnswers()
    {
        var backends = new List<string?>();
        for (var i = 0; i < 12; i++)
        {
            var result = await Chat().CompleteChatAsync(Messages, cancellationToken: Token);
            result.GetRawResponse().Headers.TryGetValue("X-Backend", out var backend);
            backends.Add(backend);
            Assert.StartsWith(Trio.TextStart, result.Value.Content[0].Text, StringComparison.Ordinal);
        }

        Assert.Equal(["a", "c"], backends.Distinct().Order());
    }

    [Fact]
    public async Task CompleteChatStreaming_OneBackendDead_TextEqualsTheWholeAnswerWithUsage()
    {
        ChatCompletion whole = await Chat().CompleteChatAsync(Messages, cancellationToken: Token);

        var (text, updates) = await ReadAsync(Chat());

        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(whole.Usage.TotalTokenCount, updates[^1].Usage.TotalTokenCount);
        Assert.Single(updates, update => update.FinishReason == ChatFinishReason.Stop);
    }

    [Fact]
    public async Task CompleteChat_WithTool_CallsIt()
    {
        var options = new ChatCompletionOptions { Tools = { ChatTool.CreateFunctionTool("weather", "The weather.") } };

        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("Use a tool")], options, Token);

        Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
        Assert.Equal("weather", Assert.Single(completion.ToolCalls).FunctionName);
    }

    [Fact]
    public async Task GenerateEmbeddings_SeveralInputs_GivesAVectorForEach()
    {
        OpenAIEmbeddingCollection vectors = await Client().GetEmbeddingClient(Trio.Model).GenerateEmbeddingsAsync(["one", "two", "one"], cancellationToken: Token);

        Assert.Equal(3, vectors.Count);
        Assert.Equal(vectors[0].ToFloats().ToArray(), vectors[2].ToFloats().ToArray());
        Assert.Equal(3, vectors.Usage.InputTokenCount);
    }

    [Fact]
    public async Task CreateResponse_Text_Answers()
    {
#pragma warning disable OPENAI001 // The client marks this API as one that may still change.
        var response = await Client().GetResponsesClient().CreateResponseAsync(Trio.Model, "Good morning", cancellationToken: Token);

        Assert.EndsWith(Trio.TextEnd, response.Value.GetOutputText(), StringComparison.Ordinal);
#pragma warning restore OPENAI001
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_IsNotFoundWithCode()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(() => Chat("absent").CompleteChatAsync(Messages, cancellationToken: Token));

        Assert.Equal(404, error.Status);
        Assert.Contains("model_not_found", error.Message, StringComparison.Ordinal);
        Assert.Contains("`absent` does not exist", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChat_WrongKey_IsUnauthorized()
    {
        var error = await Assert.ThrowsAsync<ClientResultException>(
            () => Client(trio.BaseUrl, "wrong").GetChatClient(Trio.Model).CompleteChatAsync(Messages, cancellationToken: Token));

        Assert.Equal(401, error.Status);
        Assert.Contains("invalid_api_key", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_CutMidway_IsRecoveredWhole()
    {
        await using var cut = ScriptedUpstream.Start(Scripts.StreamThen(ScriptedChat.Events(Answer).Take(6), connection => connection.ResetAsync()));
        await using var whole = ScriptedUpstream.Start(Scripts.Chat(Answer));
        await using var host = await BalancerHost.StartAsync([cut, whole]);

        var (text, _) = await ReadAsync(Client(new Uri(host.Url, "/v1"), "any").GetChatClient("m"));

        Assert.Equal(Answer, text);
    }

    [Fact]
    public async Task CompleteChatStreaming_BeyondRecovery_Throws()
    {
        await using var cut = ScriptedUpstream.Start(Scripts.StreamThen(ScriptedChat.Events(Answer).Take(6), connection => connection.ResetAsync()));
        await using var host = await BalancerHost.StartAsync([cut], options => options with { StreamRecovery = StreamRecovery.Off });

        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(Client(new Uri(host.Url, "/v1"), "any").GetChatClient("m")));
    }

    private static async Task<(string Text, List<StreamingChatCompletionUpdate> Updates)> ReadAsync(ChatClient chat)
    {
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in chat.CompleteChatStreamingAsync(Messages, cancellationToken: Token))
        {
            updates.Add(update);
        }

        return (string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text)), updates);
    }

    private ChatClient Chat(string model = Trio.Model) => Client().GetChatClient(model);

    private OpenAIClient Client() => Client(trio.BaseUrl, Trio.Key);

    private static OpenAIClient Client(Uri baseUrl, string key) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = baseUrl, RetryPolicy = new ClientRetryPolicy(0) });
}
