using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>
/// The input of <see cref="BackendEntity"/>'s <c>put</c>: absolute values with a version. As JSON <c>{"version":n,"after":n,"birth":n,"totals":"p…","mark":"p…",
/// "hours":[[hour,eight numbers],…],"history":"p…","trips":[[at ms,count],…]}</c>.
/// </summary>
internal sealed record BackendPut
{
    private const int MostHours = 256;
    private const int HourWidth = 9;

    public required long Version { get; init; }

    /// <summary>
    /// The version that these values go on from: only that one is replaced, so that hours which the values know nothing of are never mixed with
    /// theirs. Null to replace any older one.
    /// </summary>
    public long? After { get; init; }

    /// <summary>As <see cref="BackendRecord.Birth"/>.</summary>
    public required long Birth { get; init; }

    /// <summary>As <see cref="BackendRecord.Totals"/>.</summary>
    public required Tally Totals { get; init; }

    /// <summary>As <see cref="BackendRecord.Mark"/>.</summary>
    public required Tally Mark { get; init; }

    /// <summary>Hours that changed, by number since 1970.</summary>
    public ImmutableArray<(long Hour, Bucket Bucket)> Hours { get; init; } = [];

    /// <summary>A whole log in place of the one there, <see cref="Hours"/> on top of it; null to leave that one.</summary>
    public HourLog? History { get; init; }

    /// <summary>Trips of the circuit; they are added to those known.</summary>
    public ImmutableArray<Trip> Trips { get; init; } = [];

    /// <summary>What brings the ledger's record up to the counters; null when it is.</summary>
    /// <param name="known">What is known of the account: the ledger's record first, then others.</param>
    /// <param name="counters">What the store says now.</param>
    /// <param name="birth">In which of its lives.</param>
    /// <param name="now">The hour that it is booked to.</param>
    public static BackendPut? Bringing(BackendRecord?[] known, Tally counters, long birth, DateTimeOffset now)
    {
        var held = known[0] ?? BackendRecord.None;
        var best = BackendRecord.Best(known, counters, birth);
        var since = best.Since(counters, birth);
        if (since.Equals(Tally.Zero) && (ReferenceEquals(best, held) || best.Totals.Equals(held.Totals)))
        {
            return null;
        }

        var hour = HourLog.HourOf(now);

        // A record that was read for its totals alone knows no hours: those of the ledger stay.
        var history = best.History.IsEmpty ? held.History : best.History;
        return new BackendPut
        {
            Version = VersionAfter(held, now),
            After = held.Version,
            Birth = birth,
            Totals = best.Totals.Plus(since),
            Mark = counters,
            History = ReferenceEquals(history, held.History) ? null : history,
            Hours = [(hour, history.At(hour) + Bucket.Of(since))],
            Trips = since.Trips == 0 ? best.Trips : [.. best.Trips.TakeLast(BackendRecord.TripsKept - 1), new Trip(now.ToUnixTimeMilliseconds(), since.Trips)],
        };
    }

    /// <summary>By the clock, so that a signal of an earlier run that arrives late is an older version; never an old one, whatever the clock says.</summary>
    public static long VersionAfter(BackendRecord held, DateTimeOffset now) => Math.Max(held.Version + 1, now.ToUnixTimeMilliseconds());

    /// <exception cref="FormatException">It is no such input; the message says what is wrong.</exception>
    public static BackendPut Parse(string json)
    {
        using var document = EntityJson.Parse(json);
        var root = document.RootElement;
        return new BackendPut
        {
            Version = EntityJson.Number(root, "version"),
            After = EntityJson.OptionalNumber(root, "after"),
            Birth = EntityJson.OptionalNumber(root, "birth") ?? 0,
            Totals = Tally.Parse(EntityJson.Text(root, "totals")),
            Mark = EntityJson.OptionalText(root, "mark") is { } mark ? Tally.Parse(mark) : Tally.Zero,
            Hours = [.. EntityJson.Rows(root, "hours", HourWidth, MostHours).Select(HourOf)],
            History = EntityJson.OptionalText(root, "history") is { } history ? HourLog.Parse(history) : null,
            Trips = BackendRecord.TripsOf(root),
        };
    }

    public BackendRecord ApplyTo(BackendRecord record)
    {
        var history = History ?? record.History;
        foreach (var (hour, bucket) in Hours)
        {
            history = history.With(hour, bucket);
        }

        return (record with { Version = Version, Birth = Birth, Totals = Totals, Mark = Mark, History = history }).WithTrips(Trips);
    }

    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(2048);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("version", Version);
            if (After is { } after)
            {
                json.WriteNumber("after", after);
            }

            json.WriteNumber("birth", Birth);
            json.WriteString("totals", Totals.ToString());
            json.WriteString("mark", Mark.ToString());
            json.WriteStartArray("hours");
            foreach (var (hour, bucket) in Hours)
            {
                EntityJson.Write(json, [hour, .. bucket.Numbers()]);
            }

            json.WriteEndArray();
            if (History is { } history)
            {
                json.WriteString("history", history.ToString());
            }

            json.WriteStartArray("trips");
            foreach (var trip in Trips)
            {
                EntityJson.Write(json, [trip.AtUnixMs, trip.Count]);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static (long Hour, Bucket Bucket) HourOf(long[] row)
    {
        var at = 1;
        return (row[0], Bucket.From(() => row[at++]));
    }
}
