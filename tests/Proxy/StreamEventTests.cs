using System.Text;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class StreamEventTests
{
    [Theory]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"hi"}}]}""", "0:Content:hi")]
    [InlineData("""{"choices":[{"delta":{"content":"hi"},"index":2}]}""", "2:Content:hi")]
    [InlineData("""{"choices":[{"delta":{"content":"a\u00e9\n\"\\\ud83d\ude00"}}]}""", "0:Content:aé\n\"\\😀")]
    [InlineData("""{"choices":[{"delta":{"reasoning_content":"r"}}]}""", "0:Reasoning:r")]
    [InlineData("""{"choices":[{"delta":{"reasoning":"r"}}]}""", "0:Reasoning:r")]
    [InlineData("""{"choices":[{"delta":{"refusal":"no"}}]}""", "0:Refusal:no")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}""", "0:ToolName+1:f|0:ToolArguments+1:{}")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}},{"index":1,"function":{"arguments":"x"}}]}}]}""", "0:ToolArguments:{\"a|0:ToolArguments+1:x")]
    [InlineData("""{"choices":[{"delta":{"function_call":{"name":"f","arguments":"{"}}}]}""", "0:ToolName:f|0:ToolArguments:{")]
    [InlineData("""{"choices":[{"text":"plain","index":1,"logprobs":null}]}""", "1:Content:plain")]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}""", "0:Content:a|1:Content:b")]
    [InlineData("""{"choices":[{"delta":{"role":"assistant","content":"x","refusal":null,"tool_calls":null,"function_call":null}}],"obfuscation":"zz"}""", "0:Content:x")]
    public void TryRead_Text_GoesToTheLog(string json, string expected)
    {
        var (streamEvent, log) = Read(json);
        Assert.Equal(Expect(expected), log);
        Assert.True(streamEvent.HasContent);
        Assert.False(streamEvent.IsOpaque);
        Assert.Equal(expected.Split('|').Length, streamEvent.Texts);
    }

    [Theory]
    [InlineData("""{"choices":[{"delta":{"role":"assistant","content":""}}]}""")]
    [InlineData("""{"choices":[{"delta":{"role":"assistant","content":null,"refusal":null}}]}""")]
    [InlineData("""{"choices":[{"delta":{}}]}""")]
    [InlineData("""{"choices":[]}""")]
    [InlineData("""{"choices":null}""")]
    [InlineData("""{"choices":7}""")]
    [InlineData("""{"choices":[7,"x",[1],null]}""")]
    [InlineData("""{"choices":[{"delta":7,"index":"x","finish_reason":null}]}""")]
    [InlineData("""{}""")]
    public void TryRead_NothingSaid_HasNoContent(string json)
    {
        var (streamEvent, log) = Read(json);
        Assert.False(streamEvent.HasContent);
        Assert.False(streamEvent.IsOpaque);
        Assert.False(streamEvent.IsError);
        Assert.Equal(0, streamEvent.FinishedCount());
        Assert.Empty(log);
    }

    [Fact]
    public void TryRead_EveryField_IsFound()
    {
        const string json = """
            {"id":"a\"b","object":"chat.completion.chunk","created":1700000000,"model":"m","system_fingerprint":null,
             "choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}],
             "usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}}}
            """;
        var (streamEvent, _) = Read(json);
        Assert.Equal("\"a\\\"b\"", At(json, streamEvent.Id));
        Assert.Equal("1700000000", At(json, streamEvent.Created));
        Assert.Equal("\"m\"", At(json, streamEvent.Model));
        Assert.Equal("\"hi\"", At(json, streamEvent.Text));
        Assert.Equal(1, streamEvent.FinishedCount());
        Assert.Equal(3, streamEvent.InputTokens);
        Assert.Equal(4, streamEvent.OutputTokens);
    }

    [Theory]
    [InlineData("""{"id":null,"created":"x","model":{}}""", "", "\"x\"", "")]
    [InlineData("""{"id":7,"created":1e3,"model":[1,[2]]}""", "7", "1e3", "")]
    public void TryRead_OddIdentity_IsTakenAsItStands(string json, string id, string created, string model)
    {
        var (streamEvent, _) = Read(json);
        Assert.Equal((id, created, model), (At(json, streamEvent.Id), At(json, streamEvent.Created), At(json, streamEvent.Model)));
    }

    [Theory]
    [InlineData("""{"usage":null}""", null, null)]
    [InlineData("""{"usage":{"prompt_tokens":-1,"completion_tokens":1.5}}""", null, null)]
    [InlineData("""{"usage":{"prompt_tokens":"3","completion_tokens":99999999999999999999}}""", null, null)]
    [InlineData("""{"usage":{"input_tokens":5,"output_tokens":0}}""", 5L, 0L)]
    [InlineData("""{"usage":[1]}""", null, null)]
    public void TryRead_Usage_CountsOnlyWholeNumbers(string json, long? input, long? output)
    {
        var (streamEvent, _) = Read(json);
        Assert.Equal((input, output), (streamEvent.InputTokens, streamEvent.OutputTokens));
    }

    [Theory]
    [InlineData("""{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":"length"}]}""", 2)]
    [InlineData("""{"choices":[{"index":0,"finish_reason":null}]}""", 0)]
    [InlineData("""{"choices":[{"index":1,"finish_reason":"stop"},{"index":1,"finish_reason":"stop"}]}""", 1)]
    public void TryRead_FinishReasons_CountEachChoiceOnce(string json, int expected) => Assert.Equal(expected, Read(json).Event.FinishedCount());

    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[]}}]}""")]
    [InlineData("""{"choices":[{"delta":{"content":"\ud83d"}}]}""")]
    [InlineData("""{"choices":[{"delta":{"content":[{"type":"text"}]}}]}""")]
    [InlineData("""{"choices":[{"delta":{"audio":{"id":"x"}}}]}""")]
    [InlineData("""{"choices":[{"delta":{"reasoning_details":[{}]}}]}""")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function"}]}}]}""")]
    public void TryRead_WhatALogCannotHold_IsOpaque(string json)
    {
        var (streamEvent, _) = Read(json);
        Assert.True(streamEvent.IsOpaque);
        Assert.True(streamEvent.HasContent);
    }

    [Fact]
    public void TryRead_BytesThatAreNoUtf8_AreOpaque()
    {
        byte[] json = [.. """{"choices":[{"delta":{"content":"a"""u8, 0xFF, 0xC3, .. "\"}}]}"u8];
        using var log = new DeltaLog();
        Assert.True(StreamEvent.TryRead(json, ApiShape.Chat, log, out var streamEvent));
        Assert.True(streamEvent.IsOpaque);
        Assert.Equal(0, log.Length);
    }

    [Theory]
    [InlineData("""{"error":{"message":"x"}}""", true)]
    [InlineData("""{"error":"x"}""", true)]
    [InlineData("""{"choices":[],"error":{"code":500}}""", true)]
    [InlineData("""{"error":null,"choices":[]}""", false)]
    public void TryRead_TopLevelError_IsAnError(string json, bool expected) => Assert.Equal(expected, Read(json).Event.IsError);

    [Theory]
    [InlineData("""{"type":"response.created","response":{"id":"r","usage":null}}""", false, false, false)]
    [InlineData("""{"type":"response.output_text.delta","delta":"x"}""", true, false, false)]
    [InlineData("""{"type":"response.function_call_arguments.delta","delta":"{"}""", true, false, false)]
    [InlineData("""{"type":"response.completed","response":{"usage":{"input_tokens":5,"output_tokens":6}}}""", false, true, false)]
    [InlineData("""{"type":"response.incomplete","response":[]}""", false, true, false)]
    [InlineData("""{"type":"response.failed","response":{"error":{"code":"server_error"}}}""", false, true, true)]
    [InlineData("""{"type":"error","code":"x"}""", false, false, true)]
    [InlineData("""{"type":7}""", false, false, false)]
    public void TryRead_ResponsesApi_KnowsItsTypes(string json, bool content, bool terminal, bool error)
    {
        var (streamEvent, _) = Read(json, ApiShape.Responses);
        Assert.Equal((content, terminal, error), (streamEvent.HasContent, streamEvent.IsTerminal, streamEvent.IsError));
        Assert.True(streamEvent.IsOpaque);
    }

    [Fact]
    public void TryRead_ResponsesUsage_IsInsideTheResponse()
    {
        var (streamEvent, _) = Read("""{"response":{"status":"completed","usage":{"input_tokens":5,"output_tokens":6}},"type":"response.completed"}""", ApiShape.Responses);
        Assert.Equal((5, 6), (streamEvent.InputTokens, streamEvent.OutputTokens));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("x")]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("null")]
    [InlineData("\"text\"")]
    [InlineData("{")]
    [InlineData("""{"choices":[{"delta":{"content":"a""")]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}]""")]
    [InlineData("""{"choices":[]}x""")]
    [InlineData("""{"choices":[]}{}""")]
    [InlineData("""{"choices":[],}""")]
    [InlineData("""{'choices':[]}""")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":[{"function":{"name":]}}]}""")]
    public void TryRead_NotOneObject_IsFalse(string json)
    {
        using var log = new DeltaLog();
        Assert.False(StreamEvent.TryRead(Encoding.UTF8.GetBytes(json), ApiShape.Chat, log, out _));
    }

    [Theory]
    [InlineData("""{"\ud800hoices":[],"x":1}""")]
    [InlineData("""{"choices":[{"\udc00elta":{"content":"a"}}]}""")]
    [InlineData("""{"usage":{"\ud800rompt_tokens":1}}""")]
    [InlineData("""{"choices":[{"delta":{"\ud800ontent":"a"}}]}""")]
    [InlineData("""{"type":"\ud800esponse.completed"}""")]
    public void TryRead_HalfASurrogateInANameOrType_DoesNotThrow(string json)
    {
        foreach (var shape in Enum.GetValues<ApiShape>())
        {
            using var log = new DeltaLog();
            StreamEvent.TryRead(Encoding.UTF8.GetBytes(json), shape, log, out _);
        }
    }

    [Fact]
    public void TryRead_DeeperThanAnyAnswer_IsFalse()
    {
        var deep = "{\"x\":" + new string('[', 2000) + new string(']', 2000) + "}";
        using var log = new DeltaLog();
        Assert.False(StreamEvent.TryRead(Encoding.UTF8.GetBytes(deep), ApiShape.Chat, log, out _));
    }

    private static string At(string json, TokenRange range) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(json), range.Start, range.Length);

    private static (StreamEvent Event, byte[] Log) Read(string json, ApiShape shape = ApiShape.Chat)
    {
        using var log = new DeltaLog();
        Assert.True(StreamEvent.TryRead(Encoding.UTF8.GetBytes(json), shape, log, out var streamEvent));
        return (streamEvent, log.Bytes.ToArray());
    }

    /// <summary>The log of <c>choice:Field+ordinal:text|…</c>.</summary>
    private static byte[] Expect(string parts)
    {
        using var log = new DeltaLog();
        foreach (var part in parts.Split('|'))
        {
            var words = part.Split(':', 3);
            var field = words[1].Split('+');
            log.Append(int.Parse(words[0], null), Enum.Parse<DeltaField>(field[0]), field.Length > 1 ? int.Parse(field[1], null) : 0, Encoding.UTF8.GetBytes(words[2]));
        }

        return log.Bytes.ToArray();
    }
}

file static class StreamEventCounts
{
    public static int FinishedCount(this StreamEvent streamEvent) => (int)UInt128.PopCount(streamEvent.Finished);
}
