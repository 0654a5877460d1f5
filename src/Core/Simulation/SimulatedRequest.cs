using System.Text.Json;

namespace Roadbalancer.Simulation;

/// <summary>What the simulation needs of a request body, of whichever API.</summary>
internal sealed class SimulatedRequest
{
    private int _assistantWords;
    private bool _continues;

    /// <summary>The inside of the JSON string, escapes and all; empty when the request names none.</summary>
    public byte[] Model { get; private set; } = [];

    public bool Stream { get; private set; }

    public bool IncludeUsage { get; private set; }

    /// <summary><c>max_tokens</c>, <c>max_completion_tokens</c> or <c>max_output_tokens</c>.</summary>
    public int MaxTokens { get; private set; } = int.MaxValue;

    /// <summary>Words asked, standing for tokens.</summary>
    public int PromptTokens { get; private set; }

    public SimulatedText Text { get; } = new();

    /// <summary>The name of the first tool, or null.</summary>
    public byte[]? ToolName { get; private set; }

    public bool ToolsForbidden { get; private set; }

    /// <summary>Whether the last user message has the word in it.</summary>
    public bool MentionsTool { get; private set; }

    public bool LastIsAssistant { get; private set; }

    public bool CallsTool => ToolName is not null && MentionsTool && !ToolsForbidden;

    /// <summary>Words of the answer that the request already holds as an assistant prefix to go on from.</summary>
    public int WordsGiven => LastIsAssistant && _continues ? _assistantWords : 0;

    /// <summary>The raw JSON of each thing to embed, rank or judge.</summary>
    public List<byte[]> Inputs { get; } = [];

    public bool Base64 { get; private set; }

    public int? Dimensions { get; private set; }

    public int? TopN { get; private set; }

    /// <summary>Null when the body is not a JSON object.</summary>
    public static SimulatedRequest? Read(ReadOnlySpan<byte> body)
    {
        var request = new SimulatedRequest();
        var json = new Utf8JsonReader(body);
        try
        {
            if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            {
                return null;
            }

            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                request.ReadProperty(ref json, body);
            }

            return request;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void ReadProperty(ref Utf8JsonReader json, ReadOnlySpan<byte> body)
    {
        var name = json.ValueSpan;
        json.Read();
        switch (json.TokenType)
        {
            case JsonTokenType.True when name.SequenceEqual("stream"u8):
                Stream = true;
                break;
            case JsonTokenType.True when name.SequenceEqual("continue_final_message"u8):
                _continues = true;
                break;
            case JsonTokenType.Number:
                ReadNumber(name, ref json);
                break;
            case JsonTokenType.String:
                ReadString(name, json.ValueSpan, JsonWalk.Raw(ref json, body));
                break;
            case JsonTokenType.StartObject when name.SequenceEqual("stream_options"u8):
                IncludeUsage = JsonWalk.RawValue(ref json, body).IndexOf("true"u8) >= 0;
                break;
            case JsonTokenType.StartArray when name.SequenceEqual("tools"u8):
                ToolName = JsonWalk.FirstToolName(ref json);
                break;
            case JsonTokenType.StartArray when name.SequenceEqual("messages"u8) || name.SequenceEqual("input"u8) || name.SequenceEqual("prompt"u8) || name.SequenceEqual("documents"u8):
                ReadArray(ref json, body);
                break;
            default:
                json.Skip();
                break;
        }
    }

    private void ReadNumber(ReadOnlySpan<byte> name, ref Utf8JsonReader json)
    {
        if (!json.TryGetInt32(out var value))
        {
            return;
        }

        if (name.SequenceEqual("max_tokens"u8) || name.SequenceEqual("max_completion_tokens"u8) || name.SequenceEqual("max_output_tokens"u8))
        {
            MaxTokens = Math.Max(0, value);
        }
        else if (name.SequenceEqual("dimensions"u8))
        {
            Dimensions = value;
        }
        else if (name.SequenceEqual("top_n"u8))
        {
            TopN = value;
        }
    }

    private void ReadString(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, ReadOnlySpan<byte> raw)
    {
        if (name.SequenceEqual("model"u8))
        {
            Model = value.ToArray();
        }
        else if (name.SequenceEqual("input"u8) || name.SequenceEqual("prompt"u8))
        {
            Inputs.Add(raw.ToArray());
            TakeUserText(value);
        }
        else if (name.SequenceEqual("encoding_format"u8))
        {
            Base64 = value.SequenceEqual("base64"u8);
        }
        else if (name.SequenceEqual("tool_choice"u8))
        {
            ToolsForbidden = value.SequenceEqual("none"u8);
        }
    }

    private void ReadArray(ref Utf8JsonReader json, ReadOnlySpan<byte> body)
    {
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType == JsonTokenType.String)
            {
                Inputs.Add(JsonWalk.Raw(ref json, body).ToArray());
                TakeUserText(json.ValueSpan);
            }
            else if (json.TokenType == JsonTokenType.StartObject)
            {
                ReadMessage(ref json, body);
            }
            else
            {
                Inputs.Add(JsonWalk.RawValue(ref json, body).ToArray());
                PromptTokens++;
            }
        }
    }

    /// <summary>A chat message; a document of a rerank request passes as one without a role.</summary>
    private void ReadMessage(ref Utf8JsonReader json, ReadOnlySpan<byte> body)
    {
        var start = (int)json.TokenStartIndex;
        ReadOnlySpan<byte> role = default, text = default;
        var prefix = false;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var isRole = json.ValueTextEquals("role"u8);
            var isText = json.ValueTextEquals("content"u8) || json.ValueTextEquals("text"u8);
            prefix |= json.ValueTextEquals("prefix"u8);
            json.Read();
            if (isText && json.TokenType == JsonTokenType.StartArray)
            {
                text = body[JsonWalk.FirstPartText(ref json)];
            }
            else if (json.TokenType == JsonTokenType.String && (isRole || isText))
            {
                role = isRole ? json.ValueSpan : role;
                text = isText ? json.ValueSpan : text;
            }
            else
            {
                json.Skip();
            }
        }

        LastIsAssistant = role.SequenceEqual("assistant"u8);
        if (role.SequenceEqual("user"u8))
        {
            TakeUserText(text);
            return;
        }

        PromptTokens += CountWords(text);
        if (role.IsEmpty)
        {
            Inputs.Add(body[start..(int)json.BytesConsumed].ToArray());
        }
        else if (LastIsAssistant)
        {
            _assistantWords = CountWords(text);
            _continues |= prefix;
        }
    }

    private void TakeUserText(ReadOnlySpan<byte> escaped)
    {
        PromptTokens += CountWords(escaped);
        Text.Echo(escaped);
        MentionsTool = escaped.IndexOf("tool"u8) >= 0;
    }

    private static int CountWords(ReadOnlySpan<byte> text) => text.IsEmpty ? 0 : text.Count((byte)' ') + 1;
}
