using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

public sealed class AnswerReaderTests
{
    [Theory]
    [InlineData("""{"id":"x","choices":[{"usage":{"prompt_tokens":9}}],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}""", 12L, 34L)]
    [InlineData("""{"usage":{"input_tokens":1,"input_tokens_details":{"input_tokens":9,"a":[{"b":1}]},"output_tokens":0}}""", 1L, 0L)]
    [InlineData("""{"response":{"x":[1],"usage":{"input_tokens":3,"output_tokens":4}},"type":"response.completed"}""", 3L, 4L)]
    [InlineData("""{"response":{"usage":{"input_tokens":[5],"output_tokens":{"input_tokens":6}}}}""", null, null)]
    [InlineData("""{"response":{"response":{"usage":{"input_tokens":5}}},"a":{"usage":{"input_tokens":5}}}""", null, null)]
    [InlineData("""[{"usage":{"prompt_tokens":1}}]""", null, null)]
    [InlineData("""{"usage":[{"prompt_tokens":1}]}""", null, null)]
    [InlineData("""{"usage":null,"prompt_tokens":1}""", null, null)]
    [InlineData("""{"usage":{"prompt_tokens":-1,"completion_tokens":1.0}}""", null, null)]
    [InlineData("""{"usage":{"prompt_tokens":1e3,"completion_tokens":"7"}}""", null, null)]
    [InlineData("""{"usage":{"prompt_tokens":9223372036854775799,"completion_tokens":99999999999999999999}}""", 9223372036854775799L, null)]
    [InlineData("""{"usage":{"prompt_tokens_details":7,"completion_tokenss":7,"prompt\u005ftokens":7}}""", null, null)]
    public void Complete_Usage_IsReadWhereItCounts(string json, long? input, long? output)
    {
        for (var piece = 1; piece <= json.Length; piece++)
        {
            var reader = Read(Encoding.UTF8.GetBytes(json), () => piece);

            Assert.True(reader.IsWellFormed);
            Assert.Equal((input, output), (reader.InputTokens, reader.OutputTokens));
        }
    }

    [Theory]
    [InlineData("""{"error":{"message":"x"}}""", true)]
    [InlineData("""{"error":"x"}""", true)]
    [InlineData("""{"id":1,"error": null}""", false)]
    [InlineData("""{"a":{"error":1},"b":["error",1],"errors":1,"c":"error"}""", false)]
    public void Complete_Error_CountsAtTheTopAlone(string json, bool expected) =>
        Assert.Equal(expected, Read(Encoding.UTF8.GetBytes(json), () => 2).HasError);

    [Theory]
    [InlineData("", false)]
    [InlineData("  ", false)]
    [InlineData(" 0 ", true)]
    [InlineData("-", false)]
    [InlineData("-0.5e+10", true)]
    [InlineData("01", false)]
    [InlineData("1.", false)]
    [InlineData("1e", false)]
    [InlineData("1e+", false)]
    [InlineData("+1", false)]
    [InlineData("true", true)]
    [InlineData("tru", false)]
    [InlineData("truex", false)]
    [InlineData("null null", false)]
    [InlineData("{}", true)]
    [InlineData("{}}", false)]
    [InlineData("{,}", false)]
    [InlineData("{\"a\"}", false)]
    [InlineData("{\"a\":1,}", false)]
    [InlineData("{\"a\":1]", false)]
    [InlineData("{\"a\":1", false)]
    [InlineData("{1:1}", false)]
    [InlineData("[1,]", false)]
    [InlineData("[1 2]", false)]
    [InlineData("[}", false)]
    [InlineData("\"\\u12G4\"", false)]
    [InlineData("\"\\x\"", false)]
    [InlineData("\"a\nb\"", false)]
    [InlineData("\"a", false)]
    [InlineData("\"\\\"", false)]
    [InlineData("'a'", false)]
    [InlineData("[1]/**/", false)]
    [InlineData("NaN", false)]
    [InlineData("[\"\\\\\",\"\\u00e9\\/\\b\\f\\n\\r\\t\"]", true)]
    public void Complete_Grammar_IsThatOfJsonDocument(string json, bool expected)
    {
        var bytes = Encoding.UTF8.GetBytes(json);

        Assert.Equal(expected, Parses(bytes));
        for (var piece = 1; piece <= bytes.Length + 1; piece++)
        {
            Assert.Equal(expected, Read(bytes, () => piece).IsWellFormed);
        }
    }

    [Theory]
    [InlineData("\uFEFF{}", true)]
    [InlineData("\uFEFF\uFEFF{}", false)]
    [InlineData("\uFEFF", false)]
    [InlineData("\uFEFE{}", false)]
    public void Complete_ByteOrderMark_IsToleratedOnce(string json, bool expected)
    {
        Assert.Equal(expected, Read(Encoding.UTF8.GetBytes(json), () => 1).IsWellFormed);
        Assert.Equal(expected, Read(Encoding.UTF8.GetBytes(json), () => 99).IsWellFormed);
    }

    [Theory]
    [InlineData(256, true)]
    [InlineData(257, false)]
    public void Complete_Depth_IsLimited(int depth, bool expected)
    {
        var json = Encoding.UTF8.GetBytes(new string('[', depth) + new string(']', depth));

        Assert.Equal(expected, Read(json, () => 7).IsWellFormed);
        Assert.Equal(expected, Parses(json));
    }

    [Fact]
    public void Complete_StringOfManyMegabytes_IsReadInPieces()
    {
        var reader = new AnswerReader();
        var piece = new byte[64 * 1024];
        piece.AsSpan().Fill((byte)'A');
        reader.Feed("{\"data\":[{\"b64_json\":\""u8);
        for (var i = 0; i < 16 * 16; i++)
        {
            reader.Feed(piece);
        }

        reader.Feed("\"}],\"usage\":{\"input_tokens\":5}}"u8);

        Assert.True(reader.Complete());
        Assert.Equal(5, reader.InputTokens);
    }

    [Fact]
    public void Feed_Anything_AllocatesNothing()
    {
        var reader = new AnswerReader();
        var json = """{"id":"a\nb","choices":[{"index":0,"logprob":-1.5e3,"ok":true}],"usage":{"prompt_tokens":12}}"""u8;
        FeedAll(reader, json);
        var before = GC.GetAllocatedBytesForCurrentThread();
        FeedAll(reader, json);

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(12, reader.InputTokens);
    }

    [Fact]
    public void Reset_AfterAFailure_ForgetsEverything()
    {
        var reader = new AnswerReader();
        reader.Feed("\uFEFF{\"error\":1,\"usage\":{\"input_tokens\":5,\"output_tokens\":6},\"us"u8);
        reader.Reset();
        reader.Feed("{\"age\":1}"u8);

        Assert.True(reader.Complete());
        Assert.Equal((null, null, false), (reader.InputTokens, reader.OutputTokens, reader.HasError));
    }

    [Fact]
    public void Complete_RandomJson_AgreesWithJsonDocument()
    {
        var valid = 0;
        for (ulong seed = 1; seed <= 6000; seed++)
        {
            var chance = new Chance(seed);
            var json = new AnswerSample(chance).Bytes;
            var expected = Parses(json);
            valid += expected ? 1 : 0;
            var largest = 1 + chance.Next(40);
            var reader = Read(json, () => 1 + chance.Next(largest));

            Assert.True(expected == reader.IsWellFormed, $"seed {seed}: JsonDocument says {expected}: {Encoding.UTF8.GetString(json)}");
            if (expected && Utf8.IsValid(json))
            {
                var facts = AnswerSample.FactsOf(json);
                Assert.True(facts == (reader.InputTokens, reader.OutputTokens, reader.HasError), $"seed {seed}: {facts}: {Encoding.UTF8.GetString(json)}");
            }
        }

        // Both kinds must be there, or the comparison proves little.
        Assert.InRange(valid, 2000, 5000);
    }

    private static AnswerReader Read(ReadOnlySpan<byte> json, Func<int> nextLength)
    {
        var reader = new AnswerReader();
        while (!json.IsEmpty)
        {
            var length = Math.Min(nextLength(), json.Length);
            reader.Feed(json[..length]);
            json = json[length..];
        }

        reader.Complete();
        return reader;
    }

    private static void FeedAll(AnswerReader reader, ReadOnlySpan<byte> json)
    {
        reader.Reset();
        reader.Feed(json[..31]);
        reader.Feed(json[31..]);
        reader.Complete();
    }

    private static bool Parses(byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
