using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Roadbalancer.Options;

namespace Roadbalancer.Backends;

/// <summary>
/// What was changed at run time over what is configured: immutable, and the same at every instance. A configured backend is changed or taken
/// out by name, another is added whole; a new configuration goes on to be edited by it.
/// </summary>
internal sealed record PoolEdits
{
    public static readonly PoolEdits None = new();

    private static readonly JsonSerializerOptions Json = new() { Converters = { new TagsForm(), new ModelsForm() }, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Grows with every change, over all instances; 0 for none.</summary>
    public long Version { get; init; }

    /// <summary>The balancing strategy in place of the configured one; null for that one.</summary>
    public string? Strategy { get; init; }

    /// <summary>Backends added, or standing in place of a configured one of that name. Their credentials are among it.</summary>
    public ImmutableArray<Backend> Put { get; init; } = [];

    /// <summary>Names of configured backends that are taken out.</summary>
    public ImmutableArray<string> Removed { get; init; } = [];

    public static PoolEdits Parse(string json) => JsonSerializer.Deserialize<PoolEdits>(json, Json) ?? None;

    /// <summary>The same text for the same edits at every instance: what has no order is sorted.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>These edits and one more: <paramref name="backend"/> is added, or stands in place of the one of its name (enabled, disabled, reweighted, moved).</summary>
    public PoolEdits With(Backend backend) => Without(backend.Name) with
    {
        Put = [.. Put.Where(other => !Same(other.Name, backend.Name)), backend],
        Removed = [.. Removed.Where(name => !Same(name, backend.Name))],
    };

    /// <summary>These edits and one more: the backend called <paramref name="name"/> is taken out.</summary>
    public PoolEdits Without(string name) => this with
    {
        Put = [.. Put.Where(other => !Same(other.Name, name))],
        Removed = [.. Removed.Where(other => !Same(other, name)), name],
    };

    /// <summary>The configuration with these edits made. Edits that leave no backend are not made.</summary>
    public BalancerOptions ApplyTo(BalancerOptions configured)
    {
        var kept = configured.Backends.Where(backend => !Removed.Contains(backend.Name, StringComparer.OrdinalIgnoreCase))
            .Select(backend => Put.FirstOrDefault(put => Same(put.Name, backend.Name)) ?? backend).ToList();
        kept.AddRange(Put.Where(put => !kept.Exists(backend => Same(backend.Name, put.Name))));
        return kept.Count == 0 ? configured : configured with { Strategy = Strategy ?? configured.Strategy, Backends = [.. kept] };
    }

    private static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);

    private sealed class TagsForm : JsonConverter<FrozenSet<string>>
    {
        public override FrozenSet<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            (JsonSerializer.Deserialize<string[]>(ref reader, options) ?? []).ToFrozenSet(StringComparer.Ordinal);

        public override void Write(Utf8JsonWriter writer, FrozenSet<string> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value.Order(StringComparer.Ordinal).ToArray(), options);
    }

    private sealed class ModelsForm : JsonConverter<FrozenDictionary<string, string>>
    {
        public override FrozenDictionary<string, string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            (JsonSerializer.Deserialize<Dictionary<string, string>>(ref reader, options) ?? []).ToFrozenDictionary(StringComparer.Ordinal);

        public override void Write(Utf8JsonWriter writer, FrozenDictionary<string, string> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, new SortedDictionary<string, string>(value.ToDictionary(), StringComparer.Ordinal), options);
    }
}
