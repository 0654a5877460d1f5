using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Keys;

/// <summary>
/// How many tokens a request may use, before a backend has counted them: of its prompt, one for four letters of ASCII and one for any other
/// letter, property names included; of its answer, the maximum that it allows, for each choice of each prompt.
/// </summary>
/// <param name="Prompt">Tokens of everything that the request says.</param>
/// <param name="Answer">Tokens that the answer may have.</param>
internal readonly record struct TokenEstimate(long Prompt, long Answer)
{
    /// <summary>An image or a file inside the request: what it costs depends on what it shows.</summary>
    private const long OfData = 1_000;

    /// <summary>From this length on a text under a name for data is data.</summary>
    private const int LeastData = 4_096;

    private const long Most = 1_000_000_000_000;

    public long Total => Math.Min(Most, Prompt + Answer);

    /// <param name="body">The request as the client sent it.</param>
    /// <param name="facts">What was read of it.</param>
    /// <param name="shape">Which API it is for: only those that generate text have an answer.</param>
    /// <param name="maxTokens">The longest answer where the request names none.</param>
    public static TokenEstimate Of(ReadOnlySpan<byte> body, RequestFacts facts, ApiShape shape, long maxTokens)
    {
        if (facts.Format != BodyFormat.Json)
        {
            return default;
        }

        var asked = new Asked();
        var prompt = Walk(body, ref asked);
        var answer = shape == ApiShape.Other ? 0
            : Math.Min(Most, asked.MaxTokens ?? maxTokens) * Math.Min(100_000d, Math.Max(facts.Choices, asked.BestOf)) * (shape == ApiShape.Completion ? facts.Prompts : 1);
        return new TokenEstimate(prompt, (long)Math.Min(Most, answer));
    }

    /// <summary>The most that <paramref name="pool"/>'s backends for <paramref name="model"/> answer where a request names no maximum.</summary>
    public static long DefaultAnswer(Pool pool, string? model)
    {
        var most = 0L;
        foreach (var backend in pool.Backends)
        {
            most = backend.Serves(model) ? Math.Max(most, backend.MaxTokens ?? pool.Options.AssumedMaxTokens) : most;
        }

        return most > 0 ? most : pool.Options.AssumedMaxTokens;
    }

    /// <summary>Tokens of a piece of text in UTF-8.</summary>
    public static long OfText(ReadOnlySpan<byte> text)
    {
        int ascii = 0, others = 0;
        foreach (var b in text)
        {
            // Of a letter beyond ASCII only its first byte counts.
            ascii += b < 0x80 ? 1 : 0;
            others += b >= 0xC0 ? 1 : 0;
        }

        return ((ascii + 3) / 4) + others;
    }

    private static long Walk(ReadOnlySpan<byte> body, ref Asked asked)
    {
        var reader = new Utf8JsonReader(body.StartsWith("\uFEFF"u8) ? body[3..] : body, new JsonReaderOptions { MaxDepth = 256 });
        long tokens = 0;
        var isData = false;
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    tokens += OfText(reader.ValueSpan);
                    isData = reader.ValueTextEquals("data"u8) || reader.ValueTextEquals("file_data"u8) || reader.ValueTextEquals("b64_json"u8);
                    asked.Name(ref reader);
                    break;
                case JsonTokenType.String:
                    tokens += reader.ValueSpan.StartsWith("data:"u8) || (isData && reader.ValueSpan.Length >= LeastData) ? OfData : OfText(reader.ValueSpan);
                    break;
                case JsonTokenType.Number:
                    // Numbers in a prompt are tokens already.
                    tokens++;
                    asked.Number(ref reader);
                    break;
            }
        }

        return tokens;
    }

    /// <summary>The request's own maximum; of several, the largest, since backends differ in which they read.</summary>
    private struct Asked
    {
        private Field _field;

        private enum Field : byte
        {
            Other,
            MaxTokens,
            BestOf,
        }

        public long? MaxTokens { get; private set; }

        public double BestOf { get; private set; }

        public void Name(ref Utf8JsonReader reader) => _field =
            reader.CurrentDepth != 1 ? Field.Other
            : reader.ValueTextEquals("max_tokens"u8) || reader.ValueTextEquals("max_completion_tokens"u8) || reader.ValueTextEquals("max_output_tokens"u8) ? Field.MaxTokens
            : reader.ValueTextEquals("best_of"u8) || reader.ValueTextEquals("n"u8) ? Field.BestOf
            : Field.Other;

        public void Number(ref Utf8JsonReader reader)
        {
            if (_field == Field.Other || reader.CurrentDepth != 1 || !reader.TryGetDouble(out var value))
            {
                return;
            }

            value = Math.Clamp(value, 0, Most);
            if (_field == Field.MaxTokens)
            {
                MaxTokens = Math.Max(MaxTokens ?? 0, (long)value);
            }
            else
            {
                BestOf = Math.Max(BestOf, value);
            }

            _field = Field.Other;
        }
    }
}
