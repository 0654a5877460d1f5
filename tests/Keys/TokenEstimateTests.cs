using System.Text;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

public sealed class TokenEstimateTests
{
    [Theory]
    [InlineData("", 0)]
    [InlineData("a", 1)]
    [InlineData("abcd", 1)]
    [InlineData("abcde", 2)]
    [InlineData("日本語", 3)]
    [InlineData("naïve", 2)]
    public void OfText_Letters_FourOfAsciiOrOneOther(string text, long tokens) => Assert.Equal(tokens, TokenEstimate.OfText(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData("chat/completions", """{"max_tokens":10}""", 10)]
    [InlineData("chat/completions", """{"max_tokens":10,"max_completion_tokens":300,"n":2}""", 600)]
    [InlineData("chat/completions", """{"max_tokens":null}""", 77)]
    [InlineData("chat/completions", """{"max_tokens":-5}""", 0)]
    [InlineData("chat/completions", """{"max_tokens":"5"}""", 77)]
    [InlineData("chat/completions", """{"metadata":{"max_tokens":5,"n":9}}""", 77)]
    [InlineData("chat/completions", """{"stop":[1,2],"max_tokens":5}""", 5)]
    [InlineData("chat/completions", """{"max_tokens":1e300}""", 1_000_000_000_000)]
    [InlineData("responses", """{"max_output_tokens":50}""", 50)]
    [InlineData("completions", """{"max_tokens":5,"prompt":["a","b","c"],"best_of":4,"n":2}""", 60)]
    [InlineData("embeddings", """{"input":"abcd"}""", 0)]
    public void Of_Answer_IsTheLargestMaximumForEachChoice(string path, string json, long tokens) => Assert.Equal(tokens, Of(path, json).Answer);

    [Fact]
    public void Of_ImagesAndFiles_CountFlat()
    {
        var image = new string('A', 400_000);
        Assert.InRange(Of("chat/completions", $$$"""{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,{{{image}}}"}}]}]}""").Prompt, 1_000, 1_050);
        Assert.InRange(Of("chat/completions", $$$"""{"messages":[{"content":[{"input_audio":{"data":"{{{image}}}"}}]}]}""").Prompt, 1_000, 1_050);
        Assert.InRange(Of("chat/completions", $$"""{"messages":[{"content":"{{image}}"}]}""").Prompt, 100_000, 100_050);
    }

    [Fact]
    public void Of_TokensAsNumbers_CountOneEach() => Assert.InRange(Of("completions", """{"prompt":[11,22,33,44,55]}""").Prompt, 5, 8);

    [Fact]
    public void Of_NoJson_IsNothing() => Assert.Equal(default, TokenEstimate.Of("--x"u8, RequestFacts.None, ApiShape.Chat, 77));

    [Fact]
    public void DefaultAnswer_SeveralBackends_TheLargestOfThoseThatServeTheModel()
    {
        var models = System.Collections.Frozen.FrozenDictionary.ToFrozenDictionary(new Dictionary<string, string> { ["x"] = "x" }, StringComparer.Ordinal);
        var pool = Pools.Of(
            new BalancerOptions { AssumedMaxTokens = 300 },
            Pools.Backend("a") with { MaxTokens = 200 }, Pools.Backend("b"), Pools.Backend("c") with { MaxTokens = 900, Models = models });
        Assert.Equal((900, 300), (TokenEstimate.DefaultAnswer(pool, "x"), TokenEstimate.DefaultAnswer(pool, "y")));
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(17, "17ms")]
    [InlineData(1_000, "1s")]
    [InlineData(8_640, "8.64s")]
    [InlineData(60_000, "1m0s")]
    [InlineData(60_500, "1m0.5s")]
    [InlineData(360_000, "6m0s")]
    public void Format_Times_AsOpenAIWritesThem(int ms, string expected) => Assert.Equal(expected, RateLimitHeaders.Format(TimeSpan.FromMilliseconds(ms)));

    private static TokenEstimate Of(string path, string json)
    {
        var body = Encoding.UTF8.GetBytes(json);
        Assert.True(RequestReader.TryRead(body, path, null, out var facts, out _));
        return TokenEstimate.Of(body, facts, ApiShapes.Of(path), 77);
    }
}
