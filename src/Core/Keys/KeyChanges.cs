using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Keys;

/// <summary>What came of a change of client keys.</summary>
internal enum KeyChangeKind
{
    /// <summary>It is in force.</summary>
    Done,

    /// <summary>There is a key of that name already.</summary>
    NameTaken,

    /// <summary>There is no key of that name.</summary>
    Unknown,

    /// <summary>It is the last key: without it nobody could call any more.</summary>
    IsLast,

    /// <summary>There are <see cref="ClientKeyList.Most"/> keys already.</summary>
    TooMany,
}

/// <summary>The result of a change.</summary>
/// <param name="Kind">Whether it was made.</param>
/// <param name="Key">The key as it is now, or as it was when it is gone; null where there was none.</param>
internal sealed record KeyChange(KeyChangeKind Kind, ClientKey? Key)
{
    /// <summary>The secret of a key that was just made. It is told here once and kept nowhere.</summary>
    public string? Secret { get; init; }

    /// <summary>What the key was limited to before.</summary>
    public KeyLimits? Before { get; init; }

    /// <summary>All instances know of it; false while Redis does not answer.</summary>
    public bool IsEverywhere { get; init; }

    /// <summary>Without the secret, so that it cannot slip into a log through formatting.</summary>
    public override string ToString() => $"{Kind} {Key}";
}

/// <summary>Makes, changes and takes away client keys at run time, at all instances (<see cref="PoolSync"/>).</summary>
internal sealed partial class KeyChanges(PoolSource pools, PoolSync sync, KeyUsage usage, TimeProvider time, ILogger<KeyChanges> log)
{
    /// <summary>A key's secret is this and 256 random bits in base64url.</summary>
    public const string SecretPrefix = "rb-";

    /// <summary>Makes a key with a secret of its own. The first one closes a balancer that was open to everyone.</summary>
    public async Task<KeyChange> CreateAsync(string name, KeyLimits limits, CancellationToken cancellationToken)
    {
        var secret = SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        var key = new ClientKey(name, secret) { Limits = limits, CreatedAt = time.GetUtcNow() };
        var kind = KeyChangeKind.Done;
        var everywhere = await sync.ChangeAsync(
            edits =>
            {
                var known = KeysAfter(edits);
                kind = known.Exists(other => Same(other.Name, name) && other.Hash != key.Hash) ? KeyChangeKind.NameTaken
                    : known.Count >= ClientKeyList.Most ? KeyChangeKind.TooMany
                    : KeyChangeKind.Done;
                return kind == KeyChangeKind.Done ? edits.WithKey(key) : edits;
            },
            cancellationToken);
        if (kind != KeyChangeKind.Done)
        {
            return new KeyChange(kind, null);
        }

        LogCreated(name);
        return new KeyChange(kind, key) { Secret = secret, IsEverywhere = everywhere };
    }

    /// <summary>Changes what a key is limited to; its secret stays.</summary>
    public async Task<KeyChange> ChangeAsync(string name, Func<KeyLimits, KeyLimits> change, CancellationToken cancellationToken)
    {
        ClientKey? before = null, after = null;
        var everywhere = pools.Current.Keys.Named(name) is not null && await sync.ChangeAsync(
            edits =>
            {
                before = KeysAfter(edits).Find(key => Same(key.Name, name));
                after = before is null ? null : before with { Limits = change(before.Limits) };

                // The secret of a configured key goes on to be the configuration's affair.
                var isMade = edits.Keys.Any(key => Same(key.Name, name) && key.Hash.Length > 0);
                return after is null ? edits : edits.WithKey(isMade ? after : after with { Hash = "" });
            },
            cancellationToken);
        if (after is null)
        {
            return new KeyChange(KeyChangeKind.Unknown, null);
        }

        LogChanged(after.Name);
        return new KeyChange(KeyChangeKind.Done, after) { Before = before!.Limits, IsEverywhere = everywhere };
    }

    /// <summary>Takes a key away at once; requests under way go on to their end. The last one stays: change or replace it.</summary>
    public async Task<KeyChange> RemoveAsync(string name, CancellationToken cancellationToken)
    {
        ClientKey? before = null;
        var isLast = false;
        var everywhere = pools.Current.Keys.Named(name) is not null && await sync.ChangeAsync(
            edits =>
            {
                var known = KeysAfter(edits);
                before = known.Find(key => Same(key.Name, name));
                isLast = before is not null && known.Count == 1;
                var isConfigured = pools.Configured.ClientKeys.Any(key => Same(key.Name, name));
                return before is null || isLast ? edits : edits.WithoutKey(before.Name, isConfigured);
            },
            cancellationToken);
        if (before is null || isLast)
        {
            return new KeyChange(before is null ? KeyChangeKind.Unknown : KeyChangeKind.IsLast, before);
        }

        await usage.ForgetAsync(before.Name);
        LogRemoved(before.Name);
        return new KeyChange(KeyChangeKind.Done, before) { Before = before.Limits, IsEverywhere = everywhere };
    }

    private List<ClientKey> KeysAfter(PoolEdits edits) => [.. edits.ApplyTo(pools.Configured).ClientKeys];

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
