using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Roadbalancer.Client;

/// <summary>Writes the JSON of requests.</summary>
internal static class RequestBody
{
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions Serializer = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="ArgumentException">A further field's value cannot be written as JSON.</exception>
    public static byte[] Chat(
        IReadOnlyList<Message> messages, IReadOnlyList<Tool> tools, double? temperature, int? maxTokens, string? model, bool stream,
        IReadOnlyDictionary<string, object?>? further) => Write(further, (json, field) =>
        {
            if (model is not null && field("model"))
            {
                json.WriteString("model", model);
            }

            if (field("messages"))
            {
                Write(json, messages);
            }

            if (tools.Count > 0 && field("tools"))
            {
                Write(json, tools);
            }

            if (temperature is { } degree && field("temperature"))
            {
                json.WriteNumber("temperature", degree);
            }

            if (maxTokens is { } tokens && field("max_tokens"))
            {
                json.WriteNumber("max_tokens", tokens);
            }

            if (stream && field("stream"))
            {
                json.WriteBoolean("stream", true);
            }

            if (stream && field("stream_options"))
            {
                json.WriteStartObject("stream_options");
                json.WriteBoolean("include_usage", true);
                json.WriteEndObject();
            }
        });

    public static byte[] Embed(IReadOnlyList<string> inputs, string? model, int? dimensions) => Write(null, (json, _) =>
    {
        if (model is not null)
        {
            json.WriteString("model", model);
        }

        json.WriteStartArray("input");
        foreach (var input in inputs)
        {
            json.WriteStringValue(input);
        }

        json.WriteEndArray();
        if (dimensions is { } count)
        {
            json.WriteNumber("dimensions", count);
        }
    });

    /// <param name="further">Fields that win over those of the same name.</param>
    /// <param name="write">Writes the others, each of them only if its function says so.</param>
    private static byte[] Write(IReadOnlyDictionary<string, object?>? further, Action<Utf8JsonWriter, Func<string, bool>> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Relaxed))
        {
            json.WriteStartObject();
            write(json, name => further?.ContainsKey(name) != true);
            foreach (var (name, value) in further ?? new Dictionary<string, object?>())
            {
                if (value is not null)
                {
                    json.WritePropertyName(name);
                    WriteValue(json, name, value);
                }
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteValue(Utf8JsonWriter json, string name, object value)
    {
        try
        {
            JsonSerializer.Serialize(json, value, value.GetType(), Serializer);
        }
        catch (Exception exception) when (exception is NotSupportedException or JsonException or InvalidOperationException or ArgumentException)
        {
            throw new ArgumentException($"The field '{name}' cannot be written as JSON.", exception);
        }
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<Message> messages)
    {
        json.WriteStartArray("messages");
        foreach (var message in messages)
        {
            json.WriteStartObject();
            json.WriteString("role", message.Role);
            if (message.Parts is { } parts)
            {
                json.WritePropertyName("content");
                parts.WriteTo(json);
            }
            else if (message.Content is not null || message.ToolCalls is not { Count: > 0 })
            {
                json.WriteString("content", message.Content);
            }

            if (message.Name is { } name)
            {
                json.WriteString("name", name);
            }

            if (message.ToolCallId is { } id)
            {
                json.WriteString("tool_call_id", id);
            }

            Write(json, message.ToolCalls ?? []);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<ToolCall> calls)
    {
        if (calls.Count == 0)
        {
            return;
        }

        json.WriteStartArray("tool_calls");
        foreach (var call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id", call.Id);
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", call.Name);
            json.WriteString("arguments", call.Arguments);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<Tool> tools)
    {
        json.WriteStartArray("tools");
        foreach (var tool in tools)
        {
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", tool.Name);
            if (tool.Description is { } description)
            {
                json.WriteString("description", description);
            }

            if (tool.Parameters is { } parameters)
            {
                json.WritePropertyName("parameters");
                json.WriteRawValue(parameters);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
