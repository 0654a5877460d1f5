using System.Globalization;
using System.Text.Json;
using Roadbalancer.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

/// <summary>The OpenAPI document of the sources, and as much of JSON Schema as it uses.</summary>
internal static class ApiDescription
{
    public static JsonElement Root { get; } =
        JsonDocument.Parse(File.ReadAllText(Repository.PathOf("src", "Core", "Admin", "openapi.json"))).RootElement;

    /// <summary>Method and path behind the prefix, of every operation.</summary>
    public static IEnumerable<(string Method, string Path)> Operations =>
        from path in Root.GetProperty("paths").EnumerateObject()
        from operation in path.Value.EnumerateObject()
        select (operation.Name.ToUpperInvariant(), path.Name[AdminEndpoint.Prefix.Length..]);

    /// <summary>Everything in <paramref name="reply"/> that the document does not allow for that operation and status.</summary>
    public static List<string> Faults(string method, string path, int status, JsonElement reply)
    {
        var segments = path.Split('?')[0].TrimEnd('/').Split('/');
        var route = Operations.Where(operation => operation.Method == method && Matches(operation.Path.Split('/'), segments)).Select(operation => operation.Path).FirstOrDefault();
        if (route is null)
        {
            return status is 404 or 405 ? [] : [$"{method} {path} is not described"];
        }

        var responses = Root.GetProperty("paths").GetProperty(AdminEndpoint.Prefix + route).GetProperty(method.ToLowerInvariant()).GetProperty("responses");
        if (!responses.TryGetProperty(status.ToString(CultureInfo.InvariantCulture), out var response))
        {
            return [$"{method} {route} does not tell of {status}"];
        }

        var faults = new List<string>();
        Check(Resolve(response).GetProperty("content").GetProperty("application/json").GetProperty("schema"), reply, "$", faults);
        return faults;
    }

    /// <summary>Everything in <paramref name="value"/> that the named schema does not allow.</summary>
    public static List<string> Faults(string schema, JsonElement value)
    {
        var faults = new List<string>();
        Check(Root.GetProperty("components").GetProperty("schemas").GetProperty(schema), value, "$", faults);
        return faults;
    }

    private static bool Matches(string[] template, string[] segments) =>
        template.Length == segments.Length && template.Zip(segments).All(pair => pair.First == "{name}" || pair.First.Equals(pair.Second, StringComparison.OrdinalIgnoreCase));

    private static JsonElement Resolve(JsonElement schema) => schema.TryGetProperty("$ref", out var reference)
        ? reference.GetString()!.TrimStart('#', '/').Split('/').Aggregate(Root, (at, part) => at.GetProperty(part))
        : schema;

    private static void Check(JsonElement schema, JsonElement value, string at, List<string> faults)
    {
        schema = Resolve(schema);
        if (schema.TryGetProperty("oneOf", out var choices))
        {
            var tries = choices.EnumerateArray().Select(choice => Tried(choice, value, at)).ToList();
            if (tries.Count(tried => tried.Count == 0) != 1)
            {
                faults.AddRange(tries[0]);
            }

            return;
        }

        if (schema.TryGetProperty("type", out var type) && !Types(type).Any(name => IsOf(name, value)))
        {
            faults.Add($"{at} is {value.ValueKind}, not {type}");
            return;
        }

        CheckValue(schema, value, at, faults);
        if (value.ValueKind == JsonValueKind.Object)
        {
            CheckObject(schema, value, at, faults);
        }
        else if (value.ValueKind == JsonValueKind.Array && schema.TryGetProperty("items", out var items))
        {
            foreach (var (item, index) in value.EnumerateArray().Select((item, index) => (item, index)))
            {
                Check(items, item, $"{at}[{index}]", faults);
            }
        }
    }

    private static void CheckValue(JsonElement schema, JsonElement value, string at, List<string> faults)
    {
        if (schema.TryGetProperty("const", out var only) && !JsonElement.DeepEquals(only, value))
        {
            faults.Add($"{at} is {value}, not {only}");
        }

        if (schema.TryGetProperty("enum", out var allowed) && !allowed.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value)))
        {
            faults.Add($"{at} is {value}, not one of {allowed}");
        }

        if (value.ValueKind == JsonValueKind.Number
            && ((schema.TryGetProperty("minimum", out var least) && value.GetDouble() < least.GetDouble()) || (schema.TryGetProperty("maximum", out var most) && value.GetDouble() > most.GetDouble())))
        {
            faults.Add($"{at} is {value}, out of range");
        }

        if (schema.TryGetProperty("format", out var format) && format.GetString() == "date-time" && value.ValueKind == JsonValueKind.String
            && !DateTimeOffset.TryParseExact(value.GetString(), "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out _))
        {
            faults.Add($"{at} is {value}, no time in UTC");
        }
    }

    private static void CheckObject(JsonElement schema, JsonElement value, string at, List<string> faults)
    {
        var known = schema.TryGetProperty("properties", out var properties) ? properties.EnumerateObject().ToDictionary(one => one.Name, one => one.Value) : [];
        if (schema.TryGetProperty("required", out var required))
        {
            faults.AddRange(required.EnumerateArray().Where(name => !value.TryGetProperty(name.GetString()!, out _)).Select(name => $"{at}.{name} is missing"));
        }

        foreach (var property in value.EnumerateObject())
        {
            if (known.TryGetValue(property.Name, out var expected))
            {
                Check(expected, property.Value, $"{at}.{property.Name}", faults);
            }
            else if (schema.TryGetProperty("additionalProperties", out var others))
            {
                if (others.ValueKind == JsonValueKind.False)
                {
                    faults.Add($"{at}.{property.Name} is not described");
                }
                else
                {
                    Check(others, property.Value, $"{at}.{property.Name}", faults);
                }
            }
        }
    }

    private static List<string> Tried(JsonElement schema, JsonElement value, string at)
    {
        var faults = new List<string>();
        Check(schema, value, at, faults);
        return faults;
    }

    private static IEnumerable<string> Types(JsonElement type) =>
        type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Select(one => one.GetString()!) : [type.GetString()!];

    private static bool IsOf(string type, JsonElement value) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => value.ValueKind == JsonValueKind.Number,
    };
}
