using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Roadbalancer.Backends;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Bodies in both directions: what is changed is changed in place, all else arrives byte for byte.</summary>
public sealed class BodyTests : IAsyncLifetime
{
    private const int FiveMiB = 5 * 1024 * 1024;

    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Theory]
    [InlineData("chat/completions", """{"model":"m", "messages":[]}""", """{"max_tokens":77,"temperature":0.5,"model":"m", "messages":[]}""")]
    [InlineData("completions", """{ "model" : "m" , "prompt" : "p" }""", """{"max_tokens":77,"temperature":0.5, "model" : "m" , "prompt" : "p" }""")]
    [InlineData("chat/completions", """{"model":"m","messages":[],"max_completion_tokens":5}""", """{"temperature":0.5,"model":"m","messages":[],"max_completion_tokens":5}""")]
    [InlineData("chat/completions", """{"model":"m","messages":[],"max_tokens":5,"temperature":0}""", """{"model":"m","messages":[],"max_tokens":5,"temperature":0}""")]
    [InlineData("embeddings", """{"model":"m","input":"x"}""", """{"model":"m","input":"x"}""")]
    [InlineData("responses", """{"model":"m","input":"x"}""", """{"model":"m","input":"x"}""")]
    public async Task Defaults_RequestWithoutThem_AreAddedForChatAndCompletionsOnly(string path, string sent, string arrives)
    {
        await using var host = await StartAsync(backend => backend with { MaxTokens = 77, Temperature = 0.5 });

        using var response = await host.PostAsync("/v1/" + path, sent);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(arrives, Assert.Single(_upstream.Requests).Text);
    }

    [Fact]
    public async Task Model_Rewritten_RestStaysByteForByte()
    {
        await using var host = await StartAsync(backend => backend with { ModelName = "real \"name\" é" });
        const string Before = "\n{ \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 é \\ud83d\\ude00 1e3 \\/ \"}],\t\"n\":1.0, \"model\" :";
        const string After = " ,\"model_hint\":\"m\",\"metadata\":{\"model\":\"m\"}}  ";

        using var response = await host.PostAsync("/v1/chat/completions", Before + "\"m\"" + After);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var text = Assert.Single(_upstream.Requests).Text;
        Assert.StartsWith(Before, text, StringComparison.Ordinal);
        Assert.EndsWith(After, text, StringComparison.Ordinal);
        Assert.Equal("real \"name\" é", _upstream.Requests[0].Property("model")?.GetString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"messages":[{"role":"user","content":"no model at all"}],"a":[1,2,{"b":null}]}""")]
    public async Task Body_NothingToChange_IsUntouched(string sent)
    {
        await using var host = await StartAsync(backend => backend);

        using var response = await host.PostAsync("/v1/embeddings", sent);

        Assert.Equal(sent, Assert.Single(_upstream.Requests).Text);
    }

    [Fact]
    public async Task FiveMiB_BodyAndAnswer_PassUnchanged()
    {
        var question = BalancerHost.ChatJson().Replace("hello", Filler(FiveMiB), StringComparison.Ordinal);
        var answer = Encoding.UTF8.GetBytes(ScriptedChat.Body(Filler(FiveMiB)));
        _upstream.Script = (_, connection, _) => connection.RespondAsync(200, answer, "application/json");
        await using var host = await StartAsync(backend => backend);

        using var response = await host.PostAsync("/v1/chat/completions", question);
        var received = await response.Content.ReadAsByteArrayAsync(Token);

        Assert.True(answer.AsSpan().SequenceEqual(received), $"{received.Length} of {answer.Length} bytes, or others");
        Assert.True(Encoding.UTF8.GetBytes(question).AsSpan().SequenceEqual(_upstream.Requests[0].Body), "the question has changed");
    }

    [Fact]
    public async Task FiveMiB_Stream_PassesUnchanged()
    {
        var chunk = $"data: {ScriptedChat.Content(Filler(8 * 1024))}\n\n";
        const int Chunks = FiveMiB / 8192;
        var end = $"data: {ScriptedChat.Finish()}\n\ndata: [DONE]\n\n";
        _upstream.Script = async (_, connection, _) =>
        {
            await connection.BeginStreamAsync();
            for (var i = 0; i < Chunks; i++)
            {
                await connection.ChunkAsync(chunk);
            }

            await connection.ChunkAsync(end);
            await connection.EndAsync();
        };
        await using var host = await StartAsync(backend => backend);

        using var response = await host.ChatAsync(stream: true);
        var received = await response.Content.ReadAsStringAsync(Token);

        Assert.Equal((Chunks * chunk.Length) + end.Length, received.Length);
        Assert.True(received == string.Concat(Enumerable.Repeat(chunk, Chunks)) + end, "the stream has changed");
    }

    [Theory]
    [InlineData(null, "whisper-1")]
    [InlineData("whisper-large-v3", "whisper-large-v3")]
    public async Task Multipart_AudioUpload_PassesByteForByteButForTheModel(string? modelName, string arrives)
    {
        byte[] audio = [.. Enumerable.Range(0, 100_000).Select(i => (byte)((i * 31) ^ (i >> 8)))];
        audio.AsSpan(500, 8).Clear();
        "\r\n--not-the-boundary\r\n"u8.CopyTo(audio.AsSpan(1_000));
        byte[] Form(string model) =>
        [
            .. "--x-b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n"u8, .. audio,
            .. Encoding.UTF8.GetBytes($"\r\n--x-b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n"),
            .. "--x-b\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\nen\r\n--x-b--\r\n"u8,
        ];
        _upstream.Script = Scripts.Respond(200, """{"text":"spoken words"}""");
        await using var host = await StartAsync(backend => backend with { ModelName = modelName });
        var content = new ByteArrayContent(Form("whisper-1"));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=x-b");

        using var response = await host.Http.PostAsync("/v1/audio/transcriptions", content, Token);

        Assert.Equal("""{"text":"spoken words"}""", await response.Content.ReadAsStringAsync(Token));
        var request = Assert.Single(_upstream.Requests);
        Assert.True(Form(arrives).AsSpan().SequenceEqual(request.Body), "the form has changed");
        Assert.Equal("multipart/form-data; boundary=x-b", request.Header("Content-Type"));
    }

    [Fact]
    public async Task Audio_ChunkedAnswer_FirstChunkArrivesWhileTheRestIsHeld()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Script = async (_, connection, gone) =>
        {
            await connection.RawAsync("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\0\u0001\u0002\u0003\r\n"u8.ToArray());
            await gate.Task.WaitAsync(gone);
            await connection.RawAsync("2\r\n\u0004\u0005\r\n"u8.ToArray());
            await connection.EndAsync();
        };
        await using var host = await StartAsync(backend => backend);

        using var response = await host.PostAsync("/v1/audio/speech", """{"model":"tts","input":"Hello","voice":"x"}""");
        await using var body = await response.Content.ReadAsStreamAsync(Token);
        var first = new byte[4];
        await Await.For(body.ReadExactlyAsync(first, Token).AsTask(), "the first chunk");
        gate.SetResult();
        var rest = new MemoryStream();
        await body.CopyToAsync(rest, Token);

        Assert.Equal("audio/mpeg", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(new byte[] { 0, 1, 2, 3 }, first);
        Assert.Equal(new byte[] { 4, 5 }, rest.ToArray());
    }

    [Fact]
    public async Task Stream_HeldUpstream_EachEventArrivesAtOnce()
    {
        var gates = Enumerable.Range(0, 3).Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
        _upstream.Script = async (_, connection, gone) =>
        {
            await connection.BeginStreamAsync();
            for (var i = 0; i < gates.Length; i++)
            {
                await connection.EventAsync(ScriptedChat.Content($"word{i}"));
                await gates[i].Task.WaitAsync(gone);
            }

            await connection.EventAsync(ScriptedChat.Finish());
            await connection.DoneAsync();
            await connection.EndAsync();
        };
        await using var host = await StartAsync(backend => backend);

        using var response = await host.ChatAsync(stream: true);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        for (var i = 0; i < gates.Length; i++)
        {
            Assert.Contains($"word{i}", await Await.For(lines.ReadLineAsync(Token).AsTask(), $"event {i}"), StringComparison.Ordinal);
            Assert.Equal("", await lines.ReadLineAsync(Token));
            gates[i].SetResult();
        }

        Assert.EndsWith("data: [DONE]\n\n", await lines.ReadToEndAsync(Token), StringComparison.Ordinal);
    }

    private static string Filler(int length) => string.Create(length, 0, (span, _) =>
    {
        for (var i = 0; i < span.Length; i++)
        {
            span[i] = i % 61 == 60 ? ' ' : (char)('a' + ((i + (i / 61)) % 26));
        }
    });

    private Task<BalancerHost> StartAsync(Func<Backend, Backend> shape) => BalancerHost.StartAsync([_upstream], shape: (_, backend) => shape(backend));
}
