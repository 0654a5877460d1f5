using System.Text;
using System.Text.Json;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Simulation;

/// <summary>The routes that the official client's tests do not reach, and the programs around the simulation.</summary>
public sealed class SimulatedApiTests : IAsyncLifetime
{
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false });
    private RunningSimulation _simulation = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _simulation = await SimulatedBackend.StartAsync(new(), TimeProvider.System, Token);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _simulation.DisposeAsync();
    }

    [Fact]
    public async Task Completions_StreamAndWhole_SayTheSame()
    {
        using var whole = JsonDocument.Parse(await PostAsync("completions", """{"model":"m","prompt":"Hello","max_tokens":5}"""));
        var stream = Events(await PostAsync("completions", """{"model":"m","prompt":"Hello","max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}"""));

        var chunks = stream[..^1].Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        var choice = whole.RootElement.GetProperty("choices")[0];
        Assert.Equal("You said: Hello ... A", choice.GetProperty("text").GetString());
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(choice.GetProperty("text").GetString(), string.Concat(chunks[..^1].Select(chunk => chunk.GetProperty("choices")[0].GetProperty("text").GetString())));
        Assert.Equal(5, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal("[DONE]", stream[^1]);
    }

    [Fact]
    public async Task Responses_Stream_IsTheProperSequenceOfEvents()
    {
        var events = Events(await PostAsync("responses", """{"model":"m","input":"Hello","max_output_tokens":2,"stream":true}"""));

        var parsed = events.Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        Assert.Equal(
            ["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "incomplete"],
            parsed.Select(item => item.GetProperty("type").GetString()!["response.".Length..]));
        Assert.Equal(Enumerable.Range(0, parsed.Length), parsed.Select(item => item.GetProperty("sequence_number").GetInt32()));
        Assert.Equal("You said:", parsed[^1].GetProperty("response").GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task Responses_WholeWithMessagesAsInput_IsCompleted()
    {
        using var response = JsonDocument.Parse(await PostAsync("responses", """{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"Hello"}]}]}"""));

        Assert.Equal("completed", response.RootElement.GetProperty("status").GetString());
        Assert.StartsWith("You said: Hello ...", response.RootElement.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rerank_TopN_GivesTheBestFirst()
    {
        using var response = JsonDocument.Parse(await PostAsync("rerank", """{"model":"m","query":"q","documents":["a",{"text":"b"},"c"],"top_n":2}"""));

        var scores = response.RootElement.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("relevance_score").GetDouble()).ToArray();
        Assert.Equal(2, scores.Length);
        Assert.True(scores[0] >= scores[1]);
    }

    [Fact]
    public async Task Moderations_TwoInputs_JudgesEach()
    {
        using var response = JsonDocument.Parse(await PostAsync("moderations", """{"input":["peace","violence"]}"""));

        Assert.Equal([false, true], response.RootElement.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("flagged").GetBoolean()));
    }

    [Fact]
    public async Task Embeddings_TokenArraysAndBase64_GiveVectors()
    {
        using var floats = JsonDocument.Parse(await PostAsync("embeddings", """{"model":"m","input":[[1,2],[3]]}"""));
        using var base64 = JsonDocument.Parse(await PostAsync("embeddings", """{"model":"m","input":[[1,2]],"encoding_format":"base64"}"""));

        var first = (float)floats.RootElement.GetProperty("data")[0].GetProperty("embedding")[0].GetDouble();
        Assert.Equal(2, floats.RootElement.GetProperty("data").GetArrayLength());
        Assert.Equal(first, BitConverter.ToSingle(base64.RootElement.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64()));
    }

    [Theory]
    [InlineData("\"continue_final_message\":true,", "")]
    [InlineData("", ",\"prefix\":true")]
    public async Task Chat_AssistantPrefix_GoesOnFromThere(string top, string message)
    {
        var body = $$"""{{{top}}"model":"m","messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"You said: Hello"{{message}}}],"max_tokens":2}""";
        using var response = JsonDocument.Parse(await PostAsync("chat/completions", body));

        Assert.Equal(" ... A", response.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Theory]
    [InlineData("{\"model\":")]
    [InlineData("[]")]
    public async Task Chat_BodyNotAnObject_Is400(string body) =>
        Assert.Contains("could not parse", await PostAsync("chat/completions", body), StringComparison.Ordinal);

    [Fact]
    public async Task Health_AnyTime_AnswersAndIsCounted()
    {
        Assert.Equal("""{"status":"ok"}""", await _client.GetStringAsync(new Uri(_simulation.BaseUrl, "/health"), Token));
        Assert.Equal(1, _simulation.RequestCount);
    }

    [Fact]
    public async Task StartAsync_Demo_ServesItsModelOnThreeBackends()
    {
        await using var demo = await Demo.StartAsync(TimeProvider.System, [], Token);

        Assert.Equal(["fast", "slow", "flaky"], demo.Options.Backends.Select(backend => backend.Name));
        foreach (var backend in demo.Options.Backends)
        {
            Assert.Contains(Demo.Model, await _client.GetStringAsync(new Uri($"{backend.BaseUrl}/models"), Token), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task RunAsync_PortTaken_PrintsAndReturnsOne()
    {
        await using var output = new StringWriter();

        Assert.Equal(1, await SimulationHost.RunAsync([_simulation.BaseUrl.Port], output, TimeProvider.System, Token));
        Assert.StartsWith("cannot simulate:", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Cancelled_ReturnsZeroAfterOneLineEach()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var output = new StringWriter();
        var running = SimulationHost.RunAsync([0, 0], output, TimeProvider.System, stop.Token);
        await Await.Until(() => output.ToString().Count(character => character == '\n') == 2, "both are announced");

        await stop.CancelAsync();

        Assert.Equal(0, await Await.For(running, "the host to end"));
    }

    private static string[] Events(string text) =>
        [.. text.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line["data: ".Length..])];

    private async Task<string> PostAsync(string path, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        using var response = await _client.PostAsync(new Uri($"{_simulation.BaseUrl}/{path}"), content, Token);
        return await response.Content.ReadAsStringAsync(Token);
    }
}
