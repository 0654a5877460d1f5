using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace Roadbalancer.Options;

/// <summary>A key that clients may present, and what it may be used for. The secret itself is not kept, only its hash.</summary>
/// <param name="Name">Shown in logs and statistics; unique, whatever its case.</param>
[method: JsonConstructor]
internal sealed record ClientKey(string Name)
{
    /// <param name="name">See <see cref="Name"/>.</param>
    /// <param name="key">The secret.</param>
    public ClientKey(string name, string key)
        : this(name) => Hash = HashOf(key);

    /// <summary>SHA-256 of the secret in lower-case hexadecimal. Empty in a run-time change of a configured key: the secret stays the configured one.</summary>
    public string Hash { get; init; } = "";

    public KeyLimits Limits { get; init; } = KeyLimits.None;

    /// <summary>When the key was made at run time; null for a configured one.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    public static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    /// <summary>The name alone, so that nothing else slips into a log through formatting.</summary>
    public override string ToString() => Name;
}

/// <summary>What a client key may be used for. Keys below are those of an entry of <c>api_keys</c>.</summary>
internal sealed record KeyLimits
{
    /// <summary>Any model of any backend, as much as one likes.</summary>
    public static readonly KeyLimits None = new();

    /// <summary>Models that may be asked for; <c>gpt-4*</c> stands for every name that begins so. Empty: any. Key <c>models</c>.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>Only backends that carry one of these tags are used. Empty: any. Key <c>tags</c>.</summary>
    public ImmutableArray<string> Tags { get; init; } = [];

    /// <summary>Requests in any 60 s, 1 to 10,000,000; unset for no limit. Key <c>requests_per_minute</c>.</summary>
    public long? RequestsPerMinute { get; init; }

    /// <summary>Tokens, prompt and answer, in any 60 s, 1 to 10,000,000,000; unset for no limit. Key <c>tokens_per_minute</c>.</summary>
    public long? TokensPerMinute { get; init; }

    /// <summary>Requests at the same time, those that wait for a backend included, 1 to 1,000,000; unset for no limit. Key <c>max_concurrency</c>.</summary>
    public int? MaxConcurrency { get; init; }

    /// <summary>From then on the key is refused, <c>2027-01-31</c> (its beginning in UTC) or <c>2027-01-31T12:00:00Z</c>; unset for never. Key <c>expires</c>.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Something has to be reserved before a request may go on.</summary>
    [JsonIgnore]
    public bool AreCounted => RequestsPerMinute is not null || TokensPerMinute is not null || MaxConcurrency is not null;

    /// <summary>Not every model of every backend may be used.</summary>
    [JsonIgnore]
    public bool AreSelective => !Models.IsEmpty || !Tags.IsEmpty;

    public bool Permits(string? model)
    {
        if (Models.IsEmpty)
        {
            return true;
        }

        foreach (var allowed in Models)
        {
            if (model is not null && (allowed.EndsWith('*') ? model.AsSpan().StartsWith(allowed.AsSpan()[..^1], StringComparison.Ordinal) : allowed == model))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a backend may be used.</summary>
    public bool Permits(Backends.Backend backend)
    {
        if (Tags.IsEmpty)
        {
            return true;
        }

        foreach (var tag in Tags)
        {
            if (backend.Tags.Contains(tag))
            {
                return true;
            }
        }

        return false;
    }
}
