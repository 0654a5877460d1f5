using System.Text;
using System.Text.Json;
using Roadbalancer.Strategies;

namespace Roadbalancer.Soak;

/// <summary>One request of a soak. Its number and the seed decide everything about it, the answer's text too.</summary>
internal sealed record SoakRequest(int Number, ulong Seed, bool Stream, bool Varies, bool HasLogprobs, int? LeavesAfterBytes)
{
    /// <summary>How many texts a request has whose answer differs from attempt to attempt.</summary>
    private const int Variants = 4;

    private static readonly string[] Words = ["alpha ", "beta", "é", "日本", "😀", "\"q\"", "\\", "\n", "<b>", "gamma ", "delta ", "omega "];

    public string Id => $"soak-{Number}";

    public static SoakRequest Draw(int number, Chance chance) => new(
        number, chance.NextBits() >> 16, chance.Next(2) == 0, chance.Next(25) == 0, chance.Next(40) == 0, chance.Next(30) == 0 ? chance.Next(600) : null);

    public string Json() => $$"""
        {"model":"m","stream":{{(Stream ? "true" : "false")}},"messages":[{"role":"user","content":"{{Seed}} {{(Varies ? "varies" : "same")}} {{(HasLogprobs ? "logprobs" : "plain")}}"}]}
        """;

    /// <summary>The request as an upstream reads it from the body.</summary>
    public static SoakRequest Read(JsonElement messages, bool stream)
    {
        var words = messages[0].GetProperty("content").GetString()!.Split(' ');
        return new SoakRequest(0, ulong.Parse(words[0], null), stream, words[1] == "varies", words[2] == "logprobs", null);
    }

    /// <summary>The text that an attempt answers with.</summary>
    public string Text(Chance attempt) => Text(Varies ? attempt.Next(Variants) : 0);

    /// <summary>Whether <paramref name="text"/> is one of the whole answers to this request.</summary>
    public bool IsAnswer(string text) => Enumerable.Range(0, Varies ? Variants : 1).Any(variant => Text(variant) == text);

    private string Text(int variant)
    {
        var chance = new Chance(Seed);
        var text = new StringBuilder();
        var length = 1 + chance.Next(40);
        for (var i = 0; i < length; i++)
        {
            text.Append(Words[chance.Next(Words.Length)]);
            if (variant > 0 && i == length / 2)
            {
                text.Append("variant ").Append(variant);
            }
        }

        return text.ToString();
    }
}
