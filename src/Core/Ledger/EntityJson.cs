using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>Reads what entities are given, strictly: integers from 0 to 2^53 - 1, texts, and rows of such integers. What is none ends in a <see cref="FormatException"/>.</summary>
internal static class EntityJson
{
    private const long Most = PackedWriter.Most;

    public static JsonDocument Parse(string json)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json);
        }
        catch (JsonException)
        {
            throw new FormatException("not JSON");
        }
        catch (ArgumentException)
        {
            throw new FormatException("not Unicode");
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        document.Dispose();
        throw new FormatException("not a JSON object");
    }

    /// <exception cref="NotSupportedException">It was written by a newer program.</exception>
    public static void RequireSchema(JsonElement state, int known)
    {
        var schema = Number(state, "schema");
        if (schema > known)
        {
            throw new NotSupportedException($"the state has schema {schema}, this program knows {known}: it was written by a newer one");
        }

        if (schema != known)
        {
            throw new FormatException("schema must be 1");
        }
    }

    public static long Number(JsonElement parent, string name, long most = Most) =>
        parent.TryGetProperty(name, out var value) && Whole(value) is { } number && number <= most
            ? number
            : throw new FormatException($"{name} must be an integer from 0 to {most}");

    /// <summary>As <see cref="Number"/>; null when there is none of the name.</summary>
    public static long? OptionalNumber(JsonElement parent, string name) => parent.TryGetProperty(name, out _) ? Number(parent, name) : null;

    public static string Text(JsonElement parent, string name) => OptionalText(parent, name) ?? throw new FormatException($"{name} must be a text");

    /// <summary>As <see cref="Text"/>; null when there is none of the name.</summary>
    public static string? OptionalText(JsonElement parent, string name)
    {
        if (!parent.TryGetProperty(name, out var value))
        {
            return null;
        }

        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FormatException($"{name} must be a text");
        }
        catch (InvalidOperationException)
        {
            throw new FormatException($"{name} is not Unicode");
        }
    }

    public static long[] Numbers(JsonElement parent, string name, int least, int most) =>
        parent.TryGetProperty(name, out var list) ? Row(list, name, least, most) : throw new FormatException($"{name} must be a list");

    /// <summary>A list of rows of <paramref name="width"/> integers, at most <paramref name="most"/>; empty when there is none of the name.</summary>
    public static List<long[]> Rows(JsonElement parent, string name, int width, int most)
    {
        if (!parent.TryGetProperty(name, out var list))
        {
            return [];
        }

        return list.ValueKind == JsonValueKind.Array && list.GetArrayLength() <= most
            ? [.. list.EnumerateArray().Select(row => Row(row, name, width, width))]
            : throw new FormatException($"{name} must be a list of at most {most} rows");
    }

    public static void Write(Utf8JsonWriter json, ReadOnlySpan<long> row)
    {
        json.WriteStartArray();
        foreach (var number in row)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }

    private static long[] Row(JsonElement row, string name, int least, int most) =>
        row.ValueKind == JsonValueKind.Array && row.GetArrayLength() is var length && length >= least && length <= most
            ? [.. row.EnumerateArray().Select(value => Whole(value) ?? throw new FormatException($"{name} must hold integers from 0 to {Most}"))]
            : throw new FormatException($"{name} must have {least} numbers");

    private static long? Whole(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number is >= 0 and <= Most ? number : null;
}
