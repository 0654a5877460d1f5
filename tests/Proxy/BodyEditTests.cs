using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class BodyEditTests
{
    private const string Chat = "chat/completions";

    private static readonly Backend _plain = new() { Name = "a", BaseUrl = new Uri("http://a/v1") };

    [Theory]
    [InlineData("""{"model":"gpt-4o","max_tokens":1}""", Chat)]
    [InlineData("""{}""", Chat)]
    [InlineData("""{"model":"own"}""", "embeddings")]
    public void ForBackend_NothingToChange_ReturnsTheSameMemory(string body, string path)
    {
        ReadOnlyMemory<byte> bytes = Encoding.UTF8.GetBytes(body);

        Assert.Equal(bytes, BodyEdit.ForBackend(bytes, Read(body, path), _plain, path).ToArray());
        Assert.Equal(bytes, BodyEdit.ForBackend(bytes, RequestFacts.None, _plain with { ModelName = "m" }, path).ToArray());
    }

    [Theory]
    [InlineData("""{ "a":1, "model" : "gpt" ,"z":1e3}""", """{ "a":1, "model" : "own" ,"z":1e3}""")]
    [InlineData("""{"model":null}""", """{"model":"own"}""")]
    [InlineData("""{"model":""}""", """{"model":"own"}""")]
    [InlineData("""{"messages":[{"model":"gpt"}]}""", """{"model":"own","messages":[{"model":"gpt"}]}""")]
    [InlineData("""{ }""", """{"model":"own" }""")]
    [InlineData("""{"mod\u0065l":"o\u0077n"}""", """{"mod\u0065l":"o\u0077n"}""")]
    public void ForBackend_ModelName_ReplacesOrInsertsIt(string body, string expected) =>
        Assert.Equal(expected, Edit(body, Chat, _plain with { ModelName = "own" }));

    [Theory]
    [InlineData("embeddings", true)]
    [InlineData("images/generations", true)]
    [InlineData("batches", false)]
    [InlineData("vector_stores/x/search", false)]
    public void ForBackend_NoModel_InsertsOnlyWhereOneIsKnown(string path, bool inserted) =>
        Assert.Equal(inserted ? """{"model":"own","a":1}""" : """{"a":1}""", Edit("""{"a":1}""", path, _plain with { ModelName = "own" }));

    [Fact]
    public void ForBackend_NameWithQuotes_IsEscaped()
    {
        var edited = Edit("""{"model":"x"}""", Chat, _plain with { ModelName = "a\"\\\n/é" });

        Assert.Equal("a\"\\\n/é", JsonDocument.Parse(edited).RootElement.GetProperty("model").GetString());
    }

    [Fact]
    public void ForBackend_Alias_BecomesTheRealName()
    {
        var backend = _plain with { Models = new Dictionary<string, string> { ["fast"] = "llama-3.1-8b" }.ToFrozenDictionary() };

        Assert.Equal("""{"model":"llama-3.1-8b"}""", Edit("""{"model":"fast"}""", Chat, backend));
        Assert.Equal("""{"model":"other"}""", Edit("""{"model":"other"}""", Chat, backend));
    }

    [Theory]
    [InlineData(Chat, """{"a":1}""", """{"max_tokens":9,"temperature":0.5,"a":1}""")]
    [InlineData("completions", """{}""", """{"max_tokens":9,"temperature":0.5}""")]
    [InlineData("responses", """{"a":1}""", """{"a":1}""")]
    [InlineData("embeddings", """{"a":1}""", """{"a":1}""")]
    [InlineData(Chat, """{"temperature":0}""", """{"max_tokens":9,"temperature":0}""")]
    [InlineData(Chat, """{"max_completion_tokens":1}""", """{"temperature":0.5,"max_completion_tokens":1}""")]
    [InlineData(Chat, """{"max_tokens":null,"temperature": null}""", """{"max_tokens":9,"temperature": 0.5}""")]
    [InlineData(Chat, """{"max_tokens":null,"max_completion_tokens":2}""", """{"temperature":0.5,"max_tokens":null,"max_completion_tokens":2}""")]
    public void ForBackend_Defaults_FillWhatIsMissing(string path, string body, string expected) =>
        Assert.Equal(expected, Edit(body, path, _plain with { MaxTokens = 9, Temperature = 0.5 }));

    [Fact]
    public void ForBackend_EverythingAtOnce_ComesOut() => Assert.Equal(
        """{"model":"own","max_tokens":9,"messages":[],"temperature":1.5}""",
        Edit("""{"messages":[],"temperature":null}""", Chat, _plain with { ModelName = "own", MaxTokens = 9, Temperature = 1.5 }));

    [Theory]
    [InlineData("--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nold\r\n--b0--", "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nö/\"\r\n--b0--")]
    [InlineData("--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n--b0--", "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nö/\"\r\n--b0--")]
    [InlineData("pre\r\n--b0\r\nX: y\r\n\r\n\r\n--b0--", "pre\r\n--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nö/\"\r\n--b0\r\nX: y\r\n\r\n\r\n--b0--")]
    public void ForBackend_Multipart_PutsTheBareName(string body, string expected) =>
        Assert.Equal(expected, Edit(body, "audio/transcriptions", _plain with { ModelName = "ö/\"", MaxTokens = 9 }, "multipart/form-data; boundary=b0"));

    [Fact]
    public void ForBackend_RandomBodies_ChangeOnlyWhatIsMeant()
    {
        for (ulong seed = 1; seed <= 2000; seed++)
        {
            var sample = new BodySample(seed);
            var backend = _plain with { ModelName = sample.NewModel, MaxTokens = sample.MaxTokens, Temperature = sample.Temperature };

            var edited = Edit(sample.Body, Chat, backend);

            Assert.True(edited == sample.Expected, $"seed {seed}:\n{sample.Body}\nbecame\n{edited}\nand not\n{sample.Expected}");
            using var document = JsonDocument.Parse(edited);
            Assert.True(sample.NewModel is null || document.RootElement.GetProperty("model").GetString() == sample.NewModel, $"seed {seed}");
        }
    }

    [Theory]
    [InlineData(1, """{"messages":[{"role":"user"}]}""", """{"continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"user"},{"role":"assistant","content":"a\"b"}]}""")]
    [InlineData(1, """{"messages":[ ]}""", """{"continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"assistant","content":"a\"b"} ]}""")]
    [InlineData(2, """{"messages":["x" ],"b":1}""", """{"messages":["x",{"role":"assistant","content":"a\"b","prefix":true} ],"b":1}""")]
    [InlineData(0, """{"messages":[]}""", "")]
    [InlineData(2, """{"prompt":"x"}""", "")]
    [InlineData(2, """{"messages":"x"}""", "")]
    [InlineData(2, """{"messages":[1],"messages":[2]}""", "")]
    [InlineData(1, """{"messages":[],"add_generation_prompt":null}""", "")]
    [InlineData(2, """{"messages":[{"content":[1],"role":"assistant"}]}""", "")]
    [InlineData(2, """{"messages":[{"\ud800":1}]}""", "")]
    public void ForContinuation_Forms_AppendTheAnswerOrRefuse(int form, string body, string expected) =>
        Assert.Equal(expected, Continue(body, _plain with { Continuation = (ContinuationForm)form }, "a\"b"u8));

    [Fact]
    public void ForContinuation_WithRewriting_DoesBothInOneGo() => Assert.Equal(
        """{"temperature":0.5,"continue_final_message":true,"add_generation_prompt":false,"messages":[1,{"role":"assistant","content":"é<"}],"model":"own"}""",
        Continue("""{"messages":[1],"model":"x"}""", _plain with { ModelName = "own", Temperature = 0.5, Continuation = ContinuationForm.ContinueFinalMessage }, "é<"u8));

    [Fact]
    public void ForContinuation_HalfACharacter_IsRefused() =>
        Assert.Empty(Continue("""{"messages":[1]}""", _plain with { Continuation = ContinuationForm.Prefix }, "é"u8[..1]));

    private static string Edit(string body, string path, Backend backend, string? contentType = null) =>
        Encoding.UTF8.GetString(BodyEdit.ForBackend(Encoding.UTF8.GetBytes(body), Read(body, path, contentType), backend, path));

    private static string Continue(string body, Backend backend, ReadOnlySpan<byte> partial) =>
        Encoding.UTF8.GetString(BodyEdit.ForContinuation(Encoding.UTF8.GetBytes(body), Read(body, Chat), backend, Chat, partial));

    private static RequestFacts Read(string body, string path, string? contentType = null)
    {
        Assert.True(RequestReader.TryRead(Encoding.UTF8.GetBytes(body), path, contentType, out var facts, out var error), error);
        return facts;
    }
}
