using System.Text.Json;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Clients;

/// <summary>The official Node client through the balancer, one of three backends dead.</summary>
public sealed class NodeClientTests(Trio trio) : IClassFixture<Trio>
{
    private const string Answer = "Every word of this answer arrives once and in its order";

    [Fact]
    public async Task ModelsList_OneBackendDead_ShowsTheModel() =>
        Assert.Equal("[\"demo\"]", (await RunAsync("models")).Text("ids"));

    [Fact]
    public async Task ModelsRetrieve_KnownModel_ReturnsIt() =>
        Assert.Equal(Trio.Model, (await RunAsync("model")).Text("id"));

    [Fact]
    public async Task ChatCompletions_OneBackendDead_AnswersFromALivingOne()
    {
        var seen = await RunAsync("chat");

        Assert.StartsWith(Trio.TextStart, seen.Text("text"), StringComparison.Ordinal);
        Assert.Equal("stop", seen.Text("finish"));
        Assert.Contains(seen.Text("backend"), (string[])["a", "c"]);
        Assert.Equal("2", seen.Text("usage", "prompt_tokens"));
    }

    [Fact]
    public async Task ChatCompletions_Stream_TextEqualsTheWholeAnswerWithUsage()
    {
        var whole = await RunAsync("chat");

        var seen = await RunAsync("stream");

        Assert.Equal(whole.Text("text"), seen.Text("text"));
        Assert.Equal(("stop", "true"), (seen.Text("finish"), seen.Text("ended")));
        Assert.Equal(whole.Text("usage", "total_tokens"), seen.Text("usage", "total_tokens"));
    }

    [Fact]
    public async Task ChatCompletions_WithTool_CallsIt()
    {
        var seen = await RunAsync("tool");

        Assert.Equal(("weather", "{}", "tool_calls"), (seen.Text("name"), seen.Text("arguments"), seen.Text("finish")));
    }

    [Fact]
    public async Task Embeddings_SeveralInputs_DecodesAVectorForEach()
    {
        var seen = await RunAsync("embed");

        Assert.Equal(("[16,16,16]", "true", "3"), (seen.Text("lengths"), seen.Text("same"), seen.Text("tokens")));
    }

    [Fact]
    public async Task Completions_Prompt_Completes()
    {
        var seen = await RunAsync("completion");

        Assert.Contains("A load balancer", seen.Text("text"), StringComparison.Ordinal);
        Assert.NotEqual("0", seen.Text("tokens"));
    }

    [Fact]
    public async Task Responses_WholeAndStreamed_GiveTheSameText()
    {
        var whole = await RunAsync("response");
        var streamed = await RunAsync("responseStream");

        Assert.EndsWith(Trio.TextEnd, whole.Text("text"), StringComparison.Ordinal);
        Assert.Equal("completed", whole.Text("status"));
        Assert.Equal((whole.Text("text"), "completed"), (streamed.Text("text"), streamed.Text("finish")));
    }

    [Fact]
    public async Task ChatCompletions_UnknownModel_RaisesNotFoundWithCode()
    {
        var seen = await NodeClient.RunAsync(trio.BaseUrl, "chat", model: "absent");

        Assert.Equal(("NotFoundError", "404", "model_not_found"), (seen.Text("error", "kind"), seen.Text("error", "status"), seen.Text("error", "code")));
        Assert.NotNull(seen.Text("error", "requestId"));
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("models")]
    public async Task AnyCall_WrongKey_RaisesAuthenticationError(string scenario)
    {
        var seen = await NodeClient.RunAsync(trio.BaseUrl, scenario, key: "wrong");

        Assert.Equal(("AuthenticationError", "401", "invalid_api_key"), (seen.Text("error", "kind"), seen.Text("error", "status"), seen.Text("error", "code")));
    }

    [Fact]
    public async Task ChatCompletions_StreamCutMidway_IsRecoveredWhole()
    {
        await using var cut = ScriptedUpstream.Start(Scripts.StreamThen(ScriptedChat.Events(Answer).Take(6), connection => connection.ResetAsync()));
        await using var whole = ScriptedUpstream.Start(Scripts.Chat(Answer));
        await using var host = await BalancerHost.StartAsync([cut, whole]);

        var seen = await NodeClient.RunAsync(new Uri(host.Url, "/v1"), "stream");

        Assert.Equal((Answer, "stop", "true"), (seen.Text("text"), seen.Text("finish"), seen.Text("ended")));
        Assert.Equal((1, 1), (cut.Requests.Count, whole.Requests.Count));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ChatCompletions_StreamBeyondRecovery_RaisesInsteadOfEnding(bool hasOther)
    {
        await using var cut = ScriptedUpstream.Start(Scripts.StreamThen(ScriptedChat.Events(Answer).Take(6), connection => connection.ResetAsync()));
        await using var different = ScriptedUpstream.Start(Scripts.Chat("Something else altogether"));
        await using var host = await BalancerHost.StartAsync(hasOther ? [cut, different] : [cut],
            options => hasOther ? options : options with { StreamRecovery = StreamRecovery.Off });

        var seen = await NodeClient.RunAsync(new Uri(host.Url, "/v1"), "stream");

        Assert.Equal("false", seen.Text("seen", "ended"));
        Assert.StartsWith("Every word of this", seen.Text("seen", "text"), StringComparison.Ordinal);
        Assert.Null(seen.Text("seen", "finish"));
        Assert.Contains("broke off", seen.Text("error", "message"), StringComparison.Ordinal);
    }

    private Task<JsonElement> RunAsync(string scenario) => NodeClient.RunAsync(trio.BaseUrl, scenario);
}
