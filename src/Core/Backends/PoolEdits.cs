using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Roadbalancer.Options;
using Roadbalancer.Strategies;

namespace Roadbalancer.Backends;

/// <summary>What was written of one backend at run time, in the configuration's own keys and values, so that every version of the program reads it by its own rules.</summary>
/// <param name="Name">The backend's name.</param>
/// <param name="IsWhole">True: it stands for itself; false: these fields lie over the configured backend of that name.</param>
/// <param name="Fields">A JSON object without nulls. Its credentials are among it.</param>
internal sealed record BackendEdit(string Name, bool IsWhole, JsonElement Fields);

/// <summary>Settings in place of the configured ones; null for those.</summary>
/// <param name="HealthCheckInterval">Seconds, see <see cref="BalancerOptions.HealthCheckInterval"/>.</param>
/// <param name="MaxRetries">See <see cref="BalancerOptions.RetryCount"/>.</param>
/// <param name="FailureThreshold">See <see cref="BalancerOptions.FailureThreshold"/>.</param>
/// <param name="HealthChecks">See <see cref="BalancerOptions.HealthCheckEnabled"/>.</param>
internal sealed record SettingEdits(double? HealthCheckInterval = null, int? MaxRetries = null, int? FailureThreshold = null, bool? HealthChecks = null)
{
    /// <summary>What <paramref name="later"/> says, and <paramref name="earlier"/> where it says nothing.</summary>
    public static SettingEdits? Over(SettingEdits? earlier, SettingEdits? later) => later is null || earlier is null ? later ?? earlier : new(
        later.HealthCheckInterval ?? earlier.HealthCheckInterval, later.MaxRetries ?? earlier.MaxRetries,
        later.FailureThreshold ?? earlier.FailureThreshold, later.HealthChecks ?? earlier.HealthChecks);
}

/// <summary>Who made the last change, for every instance to tell.</summary>
/// <param name="By">The admin key's name.</param>
/// <param name="Action">What was done, as events call it.</param>
/// <param name="Backend">Whose; null where it is not of one backend.</param>
internal sealed record ChangeNote(string By, string Action, string? Backend);

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

    /// <summary>Client keys added, or standing in place of a configured one of that name; of secrets there are only hashes.</summary>
    public ImmutableArray<ClientKey> Keys { get; init; } = [];

    /// <summary>Names of configured client keys that are taken away.</summary>
    public ImmutableArray<string> RemovedKeys { get; init; } = [];

    /// <summary>What was written of backends, configured or not, in the order in which they came.</summary>
    public ImmutableArray<BackendEdit> Edited { get; init; } = [];

    /// <summary>Names of backends that take no new requests until they are taken back from here.</summary>
    public ImmutableArray<string> Drained { get; init; } = [];

    /// <summary>Settings in place of configured ones; null for none.</summary>
    public SettingEdits? Settings { get; init; }

    /// <summary>Who made the last change; null when it did not come by the management API.</summary>
    public ChangeNote? Last { get; init; }

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
    public PoolEdits Without(string name)
    {
        var rest = Restored(name);
        return rest with { Removed = [.. rest.Removed, name] };
    }

    /// <summary>These edits less every one of the backend called <paramref name="name"/>.</summary>
    public PoolEdits Restored(string name) => this with
    {
        Put = [.. Put.Where(other => !Same(other.Name, name))],
        Edited = [.. Edited.Where(other => !Same(other.Name, name))],
        Drained = [.. Drained.Where(other => !Same(other, name))],
        Removed = [.. Removed.Where(other => !Same(other, name))],
    };

    /// <summary>
    /// The edits that both are to become: the newer, or, where one was begun apart from the other, that one over the other under a newer version.
    /// </summary>
    public static PoolEdits Join(PoolEdits one, PoolEdits other)
    {
        var (newer, older) = IsAhead(other, one) ? (other, one) : (one, other);
        if (older.Version == 0 || newer.Origin == older.Origin || newer.Joined.Contains(older.Origin) || older.Joined.Contains(newer.Origin))
        {
            return newer;
        }

        return older.Origin == 0 || newer.Origin != 0 ? older.Over(newer, newer.Version + 1) : newer.Over(older, newer.Version + 1);
    }

    /// <summary>Whether <paramref name="one"/> is to stand in place of <paramref name="other"/>. Every instance finds the same winner, whatever it learns of first.</summary>
    public static bool IsAhead(PoolEdits one, PoolEdits other) => one.Version != other.Version
        ? one.Version > other.Version
        : string.CompareOrdinal(one.ToJson(), other.ToJson()) > 0;

    /// <summary>The same, known to be all that there is.</summary>
    public PoolEdits Rooted() => Origin == 0 ? this : this with { Version = Version + 1, Origin = 0, Joined = [.. Joined.Append(Origin).TakeLast(OriginsKept)] };

    /// <summary>These edits and one more: <paramref name="key"/> is added, or stands in place of the one of its name.</summary>
    public PoolEdits WithKey(ClientKey key) => this with
    {
        Keys = [.. Keys.Where(other => !Same(other.Name, key.Name)), key],
        RemovedKeys = [.. RemovedKeys.Where(name => !Same(name, key.Name))],
    };

    /// <summary>These edits and one more: the key called <paramref name="name"/> is taken away.</summary>
    /// <param name="isConfigured">It is in the configuration, so that its name has to be remembered.</param>
    public PoolEdits WithoutKey(string name, bool isConfigured) => this with
    {
        Keys = [.. Keys.Where(other => !Same(other.Name, name))],
        RemovedKeys = [.. RemovedKeys.Where(other => !Same(other, name)), .. isConfigured ? [name] : Array.Empty<string>()],
    };

    /// <summary>These edits and one more: <paramref name="edit"/> in place of the one of its name.</summary>
    public PoolEdits With(BackendEdit edit) => this with
    {
        Put = [.. Put.Where(other => !Same(other.Name, edit.Name))],
        Edited = Edited.FirstOrDefault(other => Same(other.Name, edit.Name)) is { } known ? Edited.Replace(known, edit) : [.. Edited, edit],
        Removed = [.. Removed.Where(other => !Same(other, edit.Name))],
    };

    /// <summary>These edits, with the backend called <paramref name="name"/> draining or not.</summary>
    public PoolEdits WithDraining(string name, bool drains)
    {
        var others = Drained.Where(other => !Same(other, name));
        return this with { Drained = drains ? [.. others, name] : [.. others] };
    }

    /// <summary>What was written of the backend called <paramref name="name"/>; null for nothing.</summary>
    public BackendEdit? EditOf(string name) => Edited.FirstOrDefault(edit => Same(edit.Name, name));

    /// <summary>The configuration with these edits made. Edits that leave no backend leave the backends alone.</summary>
    public BalancerOptions ApplyTo(BalancerOptions configured)
    {
        var edited = ApplyKeysTo(configured);
        var kept = configured.Backends.Where(backend => !Removed.Contains(backend.Name, StringComparer.OrdinalIgnoreCase))
            .Select(backend => Put.FirstOrDefault(put => Same(put.Name, backend.Name)) ?? Over(backend, configured)).ToList();
        kept.AddRange(Put.Where(put => !kept.Exists(backend => Same(backend.Name, put.Name))));
        kept.AddRange(Edited.Where(edit => edit.IsWhole && !kept.Exists(backend => Same(backend.Name, edit.Name)))
            .Select(edit => BackendFields.Bind(edit.Name, edit.Fields, null, configured, out _)).OfType<Backend>());
        if (kept.Count == 0)
        {
            return edited;
        }

        return edited with
        {
            Strategy = Strategy is { } strategy && StrategyTable.Knows(strategy) ? strategy : configured.Strategy,
            HealthCheckInterval = Settings?.HealthCheckInterval is { } seconds ? TimeSpan.FromSeconds(seconds) : configured.HealthCheckInterval,
            RetryCount = Settings?.MaxRetries ?? configured.RetryCount,
            FailureThreshold = Settings?.FailureThreshold ?? configured.FailureThreshold,
            HealthCheckEnabled = Settings?.HealthChecks ?? configured.HealthCheckEnabled,
            Backends = [.. kept.Select(backend => Drained.Contains(backend.Name, StringComparer.OrdinalIgnoreCase) ? backend with { Draining = true } : backend)],
        };
    }

    /// <summary>These with <paramref name="apart"/> made over them. Begun apart themselves, they stay so.</summary>
    private PoolEdits Over(PoolEdits apart, long version)
    {
        var joined = apart.Removed.Aggregate(this, (edits, name) => edits.Without(name));
        joined = apart.Put.Aggregate(joined, (edits, backend) => edits.With(backend));
        joined = apart.Edited.Aggregate(joined, (edits, edit) => edits.With(edit));
        joined = apart.Drained.Aggregate(joined, (edits, name) => edits.WithDraining(name, drains: true));
        joined = apart.RemovedKeys.Aggregate(joined, (edits, name) => edits.WithoutKey(name, isConfigured: true));
        return apart.Keys.Aggregate(joined, (edits, key) => edits.WithKey(key)) with
        {
            Version = version,
            Strategy = apart.Strategy ?? Strategy,
            Settings = SettingEdits.Over(Settings, apart.Settings),
            Last = apart.Last ?? Last,
            Joined = [.. Joined.Concat(apart.Joined).Append(apart.Origin).Distinct().TakeLast(OriginsKept)],
        };
    }


    private BalancerOptions ApplyKeysTo(BalancerOptions configured)
    {
        if (Keys.IsEmpty && RemovedKeys.IsEmpty)
        {
            return configured;
        }

        var keys = configured.ClientKeys.Where(key => !RemovedKeys.Contains(key.Name, StringComparer.OrdinalIgnoreCase))
            .Select(key => Keys.FirstOrDefault(put => Same(put.Name, key.Name)) is { } put ? put with { Hash = put.Hash.Length == 0 ? key.Hash : put.Hash } : key).ToList();
        keys.AddRange(Keys.Where(put => put.Hash.Length > 0 && !keys.Exists(key => Same(key.Name, put.Name))));

        // A balancer that asked for keys never opens to everyone because the last of them is gone.
        return configured with { ClientKeys = [.. keys], IsClosed = keys.Count == 0 };
    }

    /// <summary>The configured backend with what was written over it; as it is where that no longer fits.</summary>
    private Backend Over(Backend backend, BalancerOptions configured) => EditOf(backend.Name) is { } edit
        ? BackendFields.Bind(backend.Name, edit.Fields, edit.IsWhole ? null : backend, configured, out _) ?? backend
        : backend;

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
