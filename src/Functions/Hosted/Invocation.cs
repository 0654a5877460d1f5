using System.Buffers;
using System.Text.Json;

namespace Roadbalancer.Functions.Hosted;

/// <summary>The host's call of a function that no HTTP request triggers: <c>{"Data":{…},"Metadata":{…}}</c>, and the answer to it.</summary>
internal static class Invocation
{
    /// <summary>The value of an input in <c>Data</c>; null when the call is not JSON or has no such input.</summary>
    public static JsonElement? Input(ReadOnlyMemory<byte> call, string name)
    {
        try
        {
            using var json = JsonDocument.Parse(call);
            return json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty("Data", out var data) && data.ValueKind == JsonValueKind.Object
                && data.TryGetProperty(name, out var input) ? input.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>An input's text without the quotes of the JSON that it is wrapped in, once more than the call itself; null when it is no text.</summary>
    /// <exception cref="JsonException">The inner JSON is broken.</exception>
    public static string? Unquoted(JsonElement input)
    {
        var text = input.ValueKind == JsonValueKind.String ? input.GetString() : null;
        if (text is not ['"', ..])
        {
            return text;
        }

        using var inner = JsonDocument.Parse(text);
        return inner.RootElement.GetString();
    }

    /// <summary>The answer, <c>{"Outputs":{},"Logs":[…],"ReturnValue":…}</c>.</summary>
    /// <param name="log">A line for the host's log; null for none.</param>
    /// <param name="value">Returned as base64; null for null.</param>
    public static byte[] Reply(string? log, ReadOnlySpan<byte> value, bool hasValue)
    {
        var buffer = new ArrayBufferWriter<byte>(256 + (value.Length * 4 / 3));
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("Outputs");
            json.WriteEndObject();
            json.WriteStartArray("Logs");
            foreach (var line in (log ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                json.WriteStringValue(line);
            }

            json.WriteEndArray();
            if (hasValue)
            {
                json.WriteBase64String("ReturnValue", value);
            }
            else
            {
                json.WriteNull("ReturnValue");
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
