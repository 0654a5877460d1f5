using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Roadbalancer.Proxy;
using Roadbalancer.Strategies;

namespace Roadbalancer.Tests.Proxy;

/// <summary>One piece of a streamed answer: which choice, which field of its delta, which tool call.</summary>
internal readonly record struct StreamPiece(string Text, string Field = "content", int Choice = 0, int Call = 0);

/// <summary>Writes chat streams: the same answer can be cut and escaped in any way.</summary>
internal static class StreamSample
{
    public const string Done = "data: [DONE]\n\n";

    private static readonly string[] Alphabet = ["a", "b", " ", "word ", "é", "ß", "日", "本", "😀", "👩‍🚀", "\"", "\\", "\n", "\t", "<", "/", "\u2028", "\u0001", "{", "]"];

    public static string Text(Chance chance, int length)
    {
        var text = new StringBuilder();
        for (var i = 0; i < length; i++)
        {
            text.Append(Alphabet[chance.Next(Alphabet.Length)]);
        }

        return text.ToString();
    }

    /// <summary><paramref name="text"/> in pieces, cut between characters at random; never an empty one.</summary>
    public static IEnumerable<string> Cut(string text, Chance chance, int longest)
    {
        var runes = text.EnumerateRunes().Select(rune => rune.ToString()).ToArray();
        for (int at = 0, take; at < runes.Length; at += take)
        {
            take = Math.Min(runes.Length - at, 1 + chance.Next(longest));
            yield return string.Concat(runes.AsSpan(at, take)!);
        }
    }

    /// <summary>A JSON string; with <paramref name="chance"/>, some characters are escaped that need not be.</summary>
    public static string Json(string text, Chance? chance = null)
    {
        var json = new StringBuilder("\"");
        foreach (var letter in text)
        {
            var must = letter is '"' or '\\' or < ' ';
            json.Append(must || (chance?.Next(3) == 0 && !char.IsSurrogate(letter)) ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)letter:x4}") : letter);
        }

        // Pairs are escaped as pairs.
        return chance?.Next(2) == 0 ? Pairs(json.Append('"').ToString()) : json.Append('"').ToString();
    }

    public static string Event(string json, string lineEnd = "\n") => "data: " + json + lineEnd + lineEnd;

    public static string Chunk(string delta, string? finish = null, int choice = 0, string id = "one", string extra = "") =>
        $$"""{"id":"{{id}}","object":"chat.completion.chunk","created":{{(id == "one" ? 1111 : 2222)}},"model":"model-{{id}}","choices":[{"index":{{choice}},"delta":{{delta}},"finish_reason":{{(finish is null ? "null" : Json(finish))}}}]{{extra}}}""";

    public static string Role(string id = "one", int choice = 0) => Event(Chunk("""{"role":"assistant","content":""}""", choice: choice, id: id));

    public static string Finish(string id = "one", string reason = "stop", int choice = 0) => Event(Chunk("{}", reason, choice, id));

    public static string Delta(StreamPiece piece, Chance? chance = null) => piece.Field switch
    {
        "name" => $$$"""{"tool_calls":[{"index":{{{piece.Call}}},"id":"call_{{{piece.Call}}}","type":"function","function":{"name":{{{Json(piece.Text, chance)}}},"arguments":""}}]}""",
        "arguments" => $$$"""{"tool_calls":[{"index":{{{piece.Call}}},"function":{"arguments":{{{Json(piece.Text, chance)}}}}}]}""",
        _ => $$"""{"{{piece.Field}}":{{Json(piece.Text, chance)}}}""",
    };

    public static string Say(StreamPiece piece, string id = "one", Chance? chance = null) => Event(Chunk(Delta(piece, chance), null, piece.Choice, id));

    public static string Say(string text, string id = "one", Chance? chance = null) => Say(new StreamPiece(text), id, chance);

    /// <summary>The events of a whole answer, cut at random.</summary>
    public static List<string> Answer(IEnumerable<StreamPiece> pieces, string id, Chance chance, int longest = 4)
    {
        var events = new List<string> { Role(id) };
        foreach (var piece in pieces)
        {
            // A name comes whole, as every server sends it.
            foreach (var text in piece.Field == "name" ? [piece.Text] : Cut(piece.Text, chance, longest))
            {
                events.Add(Say(piece with { Text = text }, id, chance));
                if (chance.Next(10) == 0)
                {
                    events.Add(chance.Next(2) == 0 ? ": keep-alive\n\n" : Event(Chunk("{}", id: id)));
                }
            }
        }

        events.Add(Finish(id));
        events.Add(Done);
        return events;
    }

    /// <summary>Feeds <paramref name="filter"/> as a connection would, in reads of random size, committing as soon as the answer has begun; what the client gets.</summary>
    public static string Drive(StreamFilter filter, IEnumerable<string> events, Chance? cuts = null, bool ends = true)
    {
        var bytes = Encoding.UTF8.GetBytes(string.Concat(events));
        using var input = new PooledBytes();
        var output = new ArrayBufferWriter<byte>();
        var committed = false;
        for (int at = 0, take; at < bytes.Length; at += take)
        {
            take = cuts is null ? bytes.Length : Math.Min(bytes.Length - at, 1 + cuts.Next(60));
            bytes.AsSpan(at, take).CopyTo(input.GetSpan(take));
            input.Advance(take);
            input.Use(filter.Pass(input.Span, output));
            if (filter.HasBegun && !committed)
            {
                committed = true;
                filter.Commit();
            }
        }

        if (ends)
        {
            filter.End(input.Span, output);
            if (filter.HasBegun && !committed)
            {
                filter.Commit();
            }
        }

        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Pairs(string json)
    {
        var escaped = new StringBuilder(json.Length);
        foreach (var letter in json)
        {
            escaped.Append(char.IsSurrogate(letter) ? string.Create(CultureInfo.InvariantCulture, $"\\u{(int)letter:X4}") : letter.ToString());
        }

        return escaped.ToString();
    }
}

/// <summary>A client of streams written without regard to the balancer's own reading: what it has understood of a stream.</summary>
internal sealed class ReferenceClient
{
    public SortedDictionary<string, string> Texts { get; } = new(StringComparer.Ordinal);

    public HashSet<string> Ids { get; } = [];

    public List<string> Finishes { get; } = [];

    public int Roles { get; private set; }

    public int Dones { get; private set; }

    public int AfterDone { get; private set; }

    public string Content => Texts.GetValueOrDefault("0 content", "");

    public static ReferenceClient Read(string stream)
    {
        var client = new ReferenceClient();
        foreach (var block in stream.Replace("\r\n", "\n", StringComparison.Ordinal).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var data = block.Split('\n').Where(line => line.StartsWith("data:", StringComparison.Ordinal)).Select(line => line[5..].TrimStart(' ')).ToArray();
            if (data.Length > 0)
            {
                client.Take(string.Join('\n', data));
            }
        }

        return client;
    }

    private void Take(string data)
    {
        AfterDone += Dones;
        if (data == "[DONE]")
        {
            Dones++;
            return;
        }

        using var json = JsonDocument.Parse(data);
        var root = json.RootElement;
        Ids.Add($"{root.GetProperty("id").GetString()} {root.GetProperty("created").GetInt64()} {root.GetProperty("model").GetString()}");
        foreach (var choice in root.GetProperty("choices").EnumerateArray())
        {
            var index = choice.GetProperty("index").GetInt32();
            if (choice.GetProperty("finish_reason").GetString() is { } reason)
            {
                Finishes.Add($"{index} {reason}");
            }

            foreach (var field in choice.GetProperty("delta").EnumerateObject())
            {
                TakeField(index, field);
            }
        }
    }

    private void TakeField(int choice, JsonProperty field)
    {
        if (field.Name == "role")
        {
            Roles++;
        }
        else if (field.Value.ValueKind == JsonValueKind.String)
        {
            Add($"{choice} {field.Name}", field.Value.GetString()!);
        }
        else if (field.Name == "tool_calls")
        {
            foreach (var call in field.Value.EnumerateArray())
            {
                var key = $"{choice} call {call.GetProperty("index").GetInt32()}";
                if (call.TryGetProperty("id", out var id))
                {
                    Add(key + " id", id.GetString()!);
                }

                foreach (var part in call.GetProperty("function").EnumerateObject())
                {
                    Add($"{key} {part.Name}", part.Value.GetString()!);
                }
            }
        }
    }

    private void Add(string key, string text)
    {
        if (text.Length > 0)
        {
            Texts[key] = Texts.GetValueOrDefault(key, "") + text;
        }
    }
}
