using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class RequestReaderTests
{
    [Theory]
    [InlineData("""{"prompt":"one"}""", 1)]
    [InlineData("""{"prompt":[]}""", 1)]
    [InlineData("""{"prompt":null}""", 1)]
    [InlineData("""{"prompt":[1,2,3]}""", 1)]
    [InlineData("""{"prompt":["one"]}""", 1)]
    [InlineData("""{"n":2,"prompt":["one","two","three"]}""", 3)]
    [InlineData("""{"prompt":[[1,2],[3]],"n":2}""", 2)]
    public void TryRead_Prompts_AreCounted(string body, int expected)
    {
        Assert.True(RequestReader.TryRead(System.Text.Encoding.UTF8.GetBytes(body), "completions", "application/json", out var facts, out _));
        Assert.Equal(expected, facts.Prompts);
    }

    [Fact]
    public void TryRead_ChatRequest_FindsEveryFact()
    {
        const string Body = """
            { "model" : "gpt-4o", "messages":[{"role":"user","content":"hi"} , {"role":"user","content":"[1]"} ],
              "stream":true,"stream_options":{"x":[1],"include_usage":true},"max_completion_tokens":5,"temperature":0.0,
              "n":3,"logprobs":true,"tools":[{"model":"nested"}],"continue_final_message":false}
            """;
        var facts = Read(Body);

        Assert.Equal("gpt-4o", facts.Model);
        Assert.Equal("\"gpt-4o\"", Cut(Body, facts.ModelValue));
        Assert.Equal("{\"role\":\"user\",\"content\":\"[1]\"}", Cut(Body, facts.LastMessage));
        Assert.StartsWith("[{", Cut(Body, facts.Messages), StringComparison.Ordinal);
        Assert.EndsWith(" ]", Cut(Body, facts.Messages), StringComparison.Ordinal);
        Assert.Equal(1, facts.InsertAt);
        Assert.Equal((true, true, true, true), (facts.Stream, facts.IncludeUsage, facts.HasMaxTokens, facts.HasTemperature));
        Assert.Equal((true, 3, true, true), (facts.IsDeterministic, facts.Choices, facts.HasLogprobs, facts.HasTools));
        Assert.Equal((BodyFormat.Json, true, false), (facts.Format, facts.SteersContinuation, facts.IsEmptyObject));
    }

    [Fact]
    public void TryRead_EmptyObject_LeavesDefaults()
    {
        var facts = Read(" {} ");

        Assert.True(facts.IsEmptyObject);
        Assert.Equal(2, facts.InsertAt);
        Assert.Equal((null, 1, false), (facts.Model, facts.Choices, facts.HasModel));
        Assert.Equal((AffinitySource.None, false), (facts.AffinitySource, facts.Affinity.IsPresent));
    }

    [Theory]
    [InlineData("""{"x":{"model":"no"},"y":[{"stream":true}]}""")]
    [InlineData("""{"\ud800":1,"Model":"no","models":"no"}""")]
    [InlineData("""{"model":null,"stream":null}""")]
    public void TryRead_NoModelAtTopLevel_FindsNone(string body)
    {
        var facts = Read(body);

        Assert.Null(facts.Model);
        Assert.False(facts.Stream);
    }

    [Fact]
    public void TryRead_EscapedNames_Count()
    {
        var facts = Read("""{"mod\u0065l":"a\u0062","\u0073tream":true,"\u0063\u006f\u006e\u0074\u0069\u006e\u0075\u0065\u005f\u0066\u0069\u006e\u0061\u006c\u005f\u006d\u0065\u0073\u0073\u0061\u0067\u0065":1}""");

        Assert.Equal("ab", facts.Model);
        Assert.True(facts.Stream);
        Assert.True(facts.SteersContinuation);
    }

    [Theory]
    [InlineData("max_tokens", "1", true, false, false)]
    [InlineData("max_tokens", "null", false, false, false)]
    [InlineData("max_output_tokens", "1", true, false, false)]
    [InlineData("max_completion_tokens", "null", false, false, false)]
    [InlineData("temperature", "0", false, true, true)]
    [InlineData("temperature", "-0.0e5", false, true, true)]
    [InlineData("temperature", "0.1", false, true, false)]
    [InlineData("temperature", "\"0\"", false, true, false)]
    [InlineData("temperature", "null", false, false, false)]
    [InlineData("seed", "7", false, false, true)]
    [InlineData("seed", "null", false, false, false)]
    public void TryRead_Sampling_IsRead(string name, string value, bool maxTokens, bool temperature, bool deterministic)
    {
        var facts = Read($$"""{"{{name}}":{{value}}}""");

        Assert.Equal((maxTokens, temperature, deterministic), (facts.HasMaxTokens, facts.HasTemperature, facts.IsDeterministic));
    }

    [Theory]
    [InlineData("""{"n":2.0}""", 2, false, false)]
    [InlineData("""{"n":-4}""", 1, false, false)]
    [InlineData("""{"n":null}""", 1, false, false)]
    [InlineData("""{"n":1e99}""", int.MaxValue, false, false)]
    [InlineData("""{"logprobs":0}""", 1, true, false)]
    [InlineData("""{"logprobs":false}""", 1, false, false)]
    [InlineData("""{"tools":[]}""", 1, false, false)]
    [InlineData("""{"tools":null}""", 1, false, false)]
    [InlineData("""{"functions":[{}],"tools":[]}""", 1, false, true)]
    public void TryRead_Traits_AreRead(string body, int choices, bool logprobs, bool tools)
    {
        var facts = Read(body);

        Assert.Equal((choices, logprobs, tools), (facts.Choices, facts.HasLogprobs, facts.HasTools));
    }

    [Theory]
    [InlineData("", "no facts")]
    [InlineData("[]", "has an array at byte 0")]
    [InlineData(" \n\"x\"", "has a string at byte 2")]
    [InlineData("{\"a\":1}\n\n{", "byte 9")]
    [InlineData("{\"a\":\n  tru}", "byte 11")]
    [InlineData("{\"a\":1,}", "byte 7")]
    [InlineData("{\"a\":1 /* c */}", "byte 7")]
    [InlineData("   ", "not valid JSON")]
    [InlineData("{\"a\":[1,2", "not valid JSON")]
    [InlineData("{\"a\":\"\t\"}", "byte 6")]
    [InlineData("{\"model\":5}", "'model' must be a string, but has a number at byte 9")]
    [InlineData("{\"model\":{}}", "'model' must be a string")]
    [InlineData("{\"model\":\"\\ud800\"}", "'model' has half a surrogate pair")]
    [InlineData("{\"stream\":\"true\"}", "'stream' must be true or false, but has a string at byte 10")]
    [InlineData("{\"model\":\"a\",\"model\":\"a\"}", "'model' is given twice; the second value is at byte 21")]
    [InlineData("{\"model\":null,\"m\\u006fdel\":\"a\"}", "'model' is given twice")]
    [InlineData("{\"stream\":false,\"stream\":true}", "'stream' is given twice")]
    [InlineData("{\"max_tokens\":1,\"max_tokens\":2}", "'max_tokens' is given twice")]
    [InlineData("{\"temperature\":null,\"temperature\":2}", "'temperature' is given twice")]
    public void TryRead_NotAsItShouldBe_SaysWhatAndWhere(string body, string expected)
    {
        var read = RequestReader.TryRead(Encoding.UTF8.GetBytes(body), "chat/completions", null, out var facts, out var error);

        Assert.Equal(body.Length == 0, read);
        Assert.Same(RequestFacts.None, facts);
        Assert.Contains(expected, error ?? "no facts", StringComparison.Ordinal);
        Assert.DoesNotContain("LineNumber", error ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5000)]
    public void TryRead_InvalidUtf8_NamesTheByte(int position)
    {
        var body = Encoding.UTF8.GetBytes("{\"" + new string('é', 6000) + "\":1}");
        body[(position * 2) + 2] = 0xFF;

        Assert.False(RequestReader.TryRead(body, "", null, out _, out var error));
        Assert.EndsWith($"see byte {(position * 2) + 2}.", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(255, true)]
    [InlineData(256, false)]
    public void TryRead_Depth_IsLimited(int arrays, bool accepted)
    {
        var body = Encoding.UTF8.GetBytes("{\"a\":" + new string('[', arrays) + new string(']', arrays) + "}");

        Assert.Equal(accepted, RequestReader.TryRead(body, "", null, out _, out _));
    }

    [Fact]
    public void TryRead_ByteOrderMark_ShiftsEveryOffset()
    {
        const string Body = "\uFEFF{\"model\":\"a\",\"messages\":[1]}";
        var facts = Read(Body);

        Assert.Equal(4, facts.InsertAt);
        Assert.Equal("\"a\"", Cut(Body, facts.ModelValue));
        Assert.Equal("1", Cut(Body, facts.LastMessage));
        Assert.False(RequestReader.TryRead("\uFEFF{\"model\":1}"u8, "", null, out _, out var error));
        Assert.Contains("at byte 12", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"user":"u","prompt_cache_key":"k","messages":[]}""", (int)AffinitySource.PromptCacheKey, "k")]
    [InlineData("""{"messages":[],"user":"u"}""", (int)AffinitySource.User, "u")]
    [InlineData("""{"user":"","prompt_cache_key":null,"messages":[1]}""", (int)AffinitySource.Prompt, "[1]")]
    [InlineData("""{"prompt":"p","input":[2]}""", (int)AffinitySource.Prompt, "\"p\"")]
    [InlineData("""{"input": [2] }""", (int)AffinitySource.Prompt, "[2]")]
    public void TryRead_Affinity_TakesTheBestSource(string body, int source, string hashed)
    {
        var facts = Read(body);

        Assert.Equal((AffinitySource)source, facts.AffinitySource);
        Assert.Equal(hashed, AffinityIn(body));
    }

    [Fact]
    public void TryRead_SamePromptStart_SameAffinity()
    {
        var start = "{\"messages\":[\"" + new string('a', 1022);

        Assert.Equal(AffinityIn(start + "b\"]}"), AffinityIn(start + "c\"]}"));
        Assert.NotEqual(AffinityIn("{\"messages\":[\"b\"]}"), AffinityIn("{\"messages\":[\"c\"]}"));
    }

    private static string AffinityIn(string body) => Encoding.UTF8.GetString(Read(body).Affinity.In(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void Of_KnownBytes_NeverChanges()
    {
        // Instances of different versions must agree: a change here moves every conversation.
        Assert.Equal(0xE4D99374404879D7UL, AffinityHash.Of("session-1"u8));
    }

    [Fact]
    public void TryRead_OtherPath_HasNoMessagesToContinue()
    {
        Assert.True(RequestReader.TryRead("{\"messages\":[1]}"u8, "responses", "text/json; charset=utf-8", out var facts, out _));
        Assert.False(facts.Messages.IsPresent);
        Assert.False(facts.LastMessage.IsPresent);
        Assert.Equal(AffinitySource.Prompt, facts.AffinitySource);
    }

    [Theory]
    [InlineData("application/json", true)]
    [InlineData("Application/JSON; charset=utf-8", true)]
    [InlineData("application/vnd.api+json", true)]
    [InlineData("", true)]
    [InlineData("text/plain", false)]
    [InlineData("application/octet-stream", false)]
    [InlineData("not a type", false)]
    public void TryRead_ContentType_DecidesWhetherJsonIsDemanded(string contentType, bool json)
    {
        var read = RequestReader.TryRead("nonsense"u8, "", contentType, out var facts, out var error);

        Assert.Equal(json, !read);
        Assert.Equal(json, error is not null);
        Assert.Equal(BodyFormat.None, facts.Format);
    }

    private static RequestFacts Read(string body)
    {
        Assert.True(RequestReader.TryRead(Encoding.UTF8.GetBytes(body), "chat/completions", "application/json", out var facts, out var error), error);
        return facts;
    }

    private static string Cut(string body, ByteRange range) => Encoding.UTF8.GetString(range.In(Encoding.UTF8.GetBytes(body)));
}
