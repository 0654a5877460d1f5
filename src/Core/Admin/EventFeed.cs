using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.State;

namespace Roadbalancer.Admin;

/// <summary>What happens, for whoever listens: the last events are kept for those who come late or back.</summary>
internal sealed class EventFeed
{
    private const int Kept = 500;
    private const int MostListeners = 64;

    /// <summary>How many events a listener may be behind before it loses the oldest.</summary>
    private const int MostBehind = 1_000;

    private static readonly (Transitions Kind, string Name, string? Status)[] Kinds =
    [
        (Transitions.Opened, "opened", "unhealthy"), (Transitions.TrialFailed, "trial_failed", "unhealthy"), (Transitions.Closed, "closed", "healthy"),
        (Transitions.Misconfigured, "misconfigured", "misconfigured"), (Transitions.CredentialsAccepted, "credentials_accepted", "healthy"),
        (Transitions.Parked, "parked", "parked"), (Transitions.ModelAbsent, "model_absent", null),
    ];

    private readonly PoolSource _pools;
    private readonly TimeProvider _time;
    private readonly string _boot;
    private readonly Lock _lock = new();
    private readonly Queue<FeedEvent> _recent = new();
    private readonly List<Channel<FeedEvent>> _listeners = [];
    private readonly HashSet<string> _told = new(StringComparer.OrdinalIgnoreCase);
    private long _last;
    private long _version;
    private ChangeNote? _note;

    public EventFeed(PoolSource pools, TimeProvider time)
    {
        (_pools, _time, _version, _note) = (pools, time, pools.Edits.Version, pools.Edits.Last);
        _boot = time.GetUtcNow().ToUnixTimeMilliseconds().ToString("x", CultureInfo.InvariantCulture);
        pools.Changed += OnPoolChanged;
    }

    public bool HasListeners
    {
        get
        {
            lock (_lock)
            {
                return _listeners.Count > 0;
            }
        }
    }

    /// <summary>Tells of a change of a backend's standing that this instance made.</summary>
    public void Report(StateChange change)
    {
        foreach (var (kind, name, status) in Kinds)
        {
            if (change.Kinds.HasFlag(kind))
            {
                ReportTransition(change.Backend, name, status, change.Cause, change);
            }
        }
    }

    /// <summary>Tells of a status that is new without anything here having made it so.</summary>
    public void ReportStatus(string backend, string status, string before) => ReportTransition(backend, "status", status, before, default);

    public void ReportReset(string by, string backend)
    {
        Publish("change", Change(by, "backend_reset", backend, new([], [], [])));
        ReportTransition(backend, "reset", "healthy", by, default);
    }

    /// <summary>Tells how things are, to those who listen now; it is not kept.</summary>
    public void PublishStatus(JsonObject status)
    {
        lock (_lock)
        {
            SendNeedsLock(FeedEvent.Of(_boot, 0, "status", status));
        }
    }

    /// <summary>Backends of whose standing something was told since this was last asked.</summary>
    public string[] TakeTold()
    {
        lock (_lock)
        {
            string[] told = [.. _told];
            _told.Clear();
            return told;
        }
    }

    /// <summary>A listener, with what it missed already in its channel; null when there are too many.</summary>
    /// <param name="lastId">What it saw last, as it was told; null for one that comes new.</param>
    /// <param name="recent">How many past events one that comes new wants.</param>
    public Channel<FeedEvent>? Listen(string? lastId, int recent)
    {
        var channel = Channel.CreateBounded<FeedEvent>(new BoundedChannelOptions(MostBehind) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        lock (_lock)
        {
            if (_listeners.Count >= MostListeners)
            {
                return null;
            }

            var missed = SeenBefore(lastId) is { } seen ? _recent.Where(one => one.Number > seen) : _recent.TakeLast(recent);
            foreach (var one in missed)
            {
                channel.Writer.TryWrite(one);
            }

            _listeners.Add(channel);
        }

        return channel;
    }

    public void Leave(Channel<FeedEvent> channel)
    {
        lock (_lock)
        {
            _listeners.Remove(channel);
        }
    }

    /// <summary>The number in an id of this instance's present run; null for any other.</summary>
    private long? SeenBefore(string? lastId) =>
        lastId is not null && lastId.StartsWith(_boot + "-", StringComparison.Ordinal)
        && long.TryParse(lastId.AsSpan(_boot.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private void ReportTransition(string backend, string kind, string? status, string cause, StateChange change)
    {
        lock (_lock)
        {
            _told.Add(backend);
        }

        Publish("transition", new()
        {
            ["time"] = AdminJson.Time(_time.GetUtcNow()),
            ["backend"] = backend,
            ["kind"] = kind,
            ["status"] = status,
            ["cause"] = cause,
            ["model"] = change.Model,
            ["open_for"] = AdminJson.Seconds(change.OpenFor.TotalMilliseconds),
            ["parked_for"] = AdminJson.Seconds(change.ParkedFor.TotalMilliseconds),
        });
    }

    private void OnPoolChanged(Pool before, Pool after)
    {
        lock (_lock)
        {
            SendNeedsLock(FeedEvent.Wake);
        }

        var edits = _pools.Edits;
        var byApi = Interlocked.Exchange(ref _version, edits.Version) != edits.Version;
        var diff = PoolDiff.Between(before.Options, after.Options);

        // A version can be new without a change: what was changed here before the ledger was known is counted on from what that holds.
        var isTold = byApi && edits.Last == Interlocked.Exchange(ref _note, edits.Last);
        if (!diff.IsEmpty || (byApi && !isTold))
        {
            var note = byApi ? edits.Last ?? new("unknown", "backend_changed", null) : new("configuration", "configuration", null);
            Publish("change", Change(note.By, note.Action, note.Backend, diff));
        }
    }

    private JsonObject Change(string by, string action, string? backend, PoolDiff diff) => new()
    {
        ["time"] = AdminJson.Time(_time.GetUtcNow()),
        ["by"] = by,
        ["action"] = action,
        ["backend"] = backend,
        ["version"] = _pools.Edits.Version,
        ["backends"] = diff.Backends,
        ["settings"] = new JsonObject { ["before"] = diff.SettingsBefore, ["after"] = diff.SettingsAfter },
    };

    private void Publish(string type, JsonObject data)
    {
        lock (_lock)
        {
            var made = FeedEvent.Of(_boot, ++_last, type, data);
            _recent.Enqueue(made);
            while (_recent.Count > Kept)
            {
                _recent.Dequeue();
            }

            SendNeedsLock(made);
        }
    }

    private void SendNeedsLock(FeedEvent made)
    {
        foreach (var listener in _listeners)
        {
            listener.Writer.TryWrite(made);
        }
    }
}
