using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Roadbalancer.Client;

/// <summary>Reads the JSON of answers. Endpoints send all sorts of things: what is not there, or not what it should be, is null or empty.</summary>
internal static class AnswerJson
{
    /// <summary>The document; null for what is no JSON object.</summary>
    public static JsonDocument? Parse(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            var document = JsonDocument.Parse(utf8);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
            return null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static JsonElement? Get(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static string? Text(this JsonElement element, string name) =>
        element.Get(name) is { ValueKind: JsonValueKind.String } value ? Text(value) : null;

    public static int? Number(this JsonElement element, string name) =>
        element.Get(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) ? number : null;

    /// <summary>The first item of the array under <paramref name="name"/>.</summary>
    public static JsonElement? First(this JsonElement element, string name) =>
        element.Get(name) is { ValueKind: JsonValueKind.Array } array && array.GetArrayLength() > 0 ? array[0] : null;

    /// <summary>The items of the array under <paramref name="name"/>; none when it is none.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) =>
        element.Get(name) is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : [];

    public static TokenUsage? Usage(this JsonElement answer)
    {
        if (answer.Get("usage") is not { ValueKind: JsonValueKind.Object } usage)
        {
            return null;
        }

        var (prompt, completion) = (Count(usage, "prompt_tokens"), Count(usage, "completion_tokens"));
        return new TokenUsage(prompt ?? 0, completion ?? 0, Count(usage, "total_tokens") ?? (prompt ?? 0) + (completion ?? 0));
    }

    /// <summary>Message and code of <c>{"error":{…}}</c>, or of <c>{"error":"…"}</c> as some servers have it.</summary>
    public static bool TryError(this JsonElement answer, [NotNullWhen(true)] out string? message, out string? code)
    {
        (message, code) = (null, null);
        if (answer.Get("error") is not { } error)
        {
            return false;
        }

        message = error.ValueKind == JsonValueKind.String ? Text(error) : error.Text("message");
        message ??= "The endpoint reported an error without a message.";
        code = error.Text("code") ?? error.Text("type");
        return true;
    }

    public static List<ToolCall> ToolCalls(this JsonElement message)
    {
        var calls = new List<ToolCall>();
        foreach (var item in message.Items("tool_calls"))
        {
            if (item.Get("function") is { } function && function.Text("name") is { } name)
            {
                calls.Add(new ToolCall(item.Text("id") ?? "", name, function.Text("arguments") ?? ""));
            }
        }

        return calls;
    }

    /// <summary>A vector as numbers, or in base64 as little-endian floats; null for anything else.</summary>
    public static float[]? Vector(this JsonElement item)
    {
        if (item.Get("embedding") is not { } value)
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            return value.TryGetBytesFromBase64(out var bytes) && bytes.Length % sizeof(float) == 0
                ? MemoryMarshal.Cast<byte, float>(bytes).ToArray()
                : null;
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        var vector = new float[value.GetArrayLength()];
        var index = 0;
        foreach (var number in value.EnumerateArray())
        {
            if (number.ValueKind != JsonValueKind.Number || !number.TryGetSingle(out vector[index++]))
            {
                return null;
            }
        }

        return vector;
    }

    private static long? Count(JsonElement usage, string name) =>
        usage.Get(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var count) ? count : null;

    private static string? Text(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: JSON allows to write it, a text cannot hold it.
            return null;
        }
    }
}
