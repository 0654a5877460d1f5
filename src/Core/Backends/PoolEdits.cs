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

    private const int OriginsKept = 16;

    private static readonly JsonSerializerOptions Json = new() { Converters = { new TagsForm(), new ModelsForm() }, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Grows with every change, over all instances: Unix milliseconds, or one more than the version before where that is more. 0 for none.</summary>
    public long Version { get; init; }

    /// <summary>The balancing strategy in place of the configured one; null for that one.</summary>
    public string? Strategy { get; init; }

    /// <summary>Backends added, or standing in place of a configured one of that name. Their credentials are among it.</summary>
    public ImmutableArray<Backend> Put { get; init; } = [];

    /// <summary>Names of configured backends that are taken out.</summary>
    public ImmutableArray<string> Removed { get; init; } = [];

    /// <summary>
    /// Not 0: these were begun by an instance that did not know yet whether there are others, under this number; they are to be joined with
    /// those, not to replace them.
    /// </summary>
    public long Origin { get; init; }

    /// <summary>The last numbers of <see cref="Origin"/> that are in these.</summary>
    public ImmutableArray<long> Joined { get; init; } = [];

    public static PoolEdits Parse(string json) => JsonSerializer.Deserialize<PoolEdits>(json, Json) ?? None;

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

    /// <summary>
    /// The edits that both are to become: the newer, or, where one was begun apart from the other, that one over the other under a newer version.
    /// </summary>
    public static PoolEdits Join(PoolEdits one, PoolEdits other)
    {
        var (newer, older) = one.Version >= other.Version ? (one, other) : (other, one);
        if (older.Version == 0 || newer.Origin == older.Origin || newer.Joined.Contains(older.Origin) || older.Joined.Contains(newer.Origin))
        {
            return newer;
        }

        return older.Origin == 0 || newer.Origin != 0 ? older.Over(newer, newer.Version + 1) : newer.Over(older, newer.Version + 1);
    }

    /// <summary>The same, known to be all that there is.</summary>
    public PoolEdits Rooted() => Origin == 0 ? this : this with { Version = Version + 1, Origin = 0, Joined = [.. Joined.Append(Origin).TakeLast(OriginsKept)] };

    /// <summary>The configuration with these edits made. Edits that leave no backend are not made.</summary>
    public BalancerOptions ApplyTo(BalancerOptions configured)
    {
        var kept = configured.Backends.Where(backend => !Removed.Contains(backend.Name, StringComparer.OrdinalIgnoreCase))
            .Select(backend => Put.FirstOrDefault(put => Same(put.Name, backend.Name)) ?? backend).ToList();
        kept.AddRange(Put.Where(put => !kept.Exists(backend => Same(backend.Name, put.Name))));
        return kept.Count == 0 ? configured : configured with { Strategy = Strategy ?? configured.Strategy, Backends = [.. kept] };
    }

    /// <summary>These with <paramref name="apart"/> made over them. Begun apart themselves, they stay so.</summary>
    private PoolEdits Over(PoolEdits apart, long version)
    {
        var joined = apart.Removed.Aggregate(this, (edits, name) => edits.Without(name));
        return apart.Put.Aggregate(joined, (edits, backend) => edits.With(backend)) with
        {
            Version = version,
            Strategy = apart.Strategy ?? Strategy,
            Joined = [.. Joined.Concat(apart.Joined).Append(apart.Origin).Distinct().TakeLast(OriginsKept)],
        };
    }

    private static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);

    private sealed class TagsForm : JsonConverter<FrozenSet<string>>
    {
        public override FrozenSet<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            (JsonSerializer.Deserialize<string[]>(ref reader, options) ?? []).ToFrozenSet(StringComparer.Ordinal);

        public override void Write(Utf8JsonWriter writer, FrozenSet<string> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value.ToArray(), options);
    }

    private sealed class ModelsForm : JsonConverter<FrozenDictionary<string, string>>
    {
        public override FrozenDictionary<string, string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            (JsonSerializer.Deserialize<Dictionary<string, string>>(ref reader, options) ?? []).ToFrozenDictionary(StringComparer.Ordinal);

        public override void Write(Utf8JsonWriter writer, FrozenDictionary<string, string> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value.ToDictionary(), options);
    }
}
