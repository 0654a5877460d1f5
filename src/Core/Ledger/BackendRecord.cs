using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>How often a backend's circuit opened up to a moment, since the entry before.</summary>
internal readonly record struct Trip(long AtUnixMs, long Count);

/// <summary>
/// The durable state of one backend, decoded; immutable. As JSON it is
/// <c>{"schema":1,"version":n,"birth":n,"totals":"p…","mark":"p…","history":"p…","configured":[version,threshold,cooldown ms],"trips":[[at ms,count],…],"reset":at ms}</c>:
/// integers and packed texts (<see cref="Tally"/>, <see cref="HourLog"/>) only, under 48,000 bytes whatever was counted.
/// </summary>
/// <remarks>
/// <see cref="Totals"/> is what was counted in the backend's whole life up to a moment; <see cref="Mark"/> is what the store's own counters
/// said at that moment, and <see cref="Birth"/> in which life of the store. So whoever holds a record of any age can say what the totals are now
/// (<see cref="Now"/>), and nothing is ever counted twice: this is why signals may be lost, doubled, late or out of order.
/// </remarks>
internal sealed record BackendRecord
{
    /// <summary>How many trips are kept.</summary>
    public const int TripsKept = 32;

    /// <summary>The most that is read as a state.</summary>
    public const int MostText = 64 * 1024;

    public static readonly BackendRecord None = new();

    private const int Schema = 1;

    /// <summary>Grows with every <c>put</c>; 0 before the first.</summary>
    public long Version { get; init; }

    /// <summary>The life of the store that <see cref="Mark"/> was read in.</summary>
    public long Birth { get; init; }

    public Tally Totals { get; init; } = Tally.Zero;

    public Tally Mark { get; init; } = Tally.Zero;

    public HourLog History { get; init; } = HourLog.Empty;

    /// <summary>Grows with every <c>configure</c>; 0 before the first.</summary>
    public long ConfiguredVersion { get; init; }

    /// <summary>The failure threshold in force; 0 when unknown.</summary>
    public long Threshold { get; init; }

    /// <summary>The first cooldown in force; 0 when unknown.</summary>
    public long CooldownMs { get; init; }

    /// <summary>By time, none at or before <see cref="ResetAtMs"/>.</summary>
    public ImmutableArray<Trip> Trips { get; init; } = [];

    /// <summary>Up to when the trip history was cleared, Unix milliseconds; 0 for never.</summary>
    public long ResetAtMs { get; init; }

    /// <summary>What was counted since this record, given what the store's counters say now.</summary>
    /// <remarks>Counters below the mark are those of a replica that had not heard of everything when it took over: what they lack is in the totals.</remarks>
    public Tally Since(Tally counters, long birth) => birth == Birth ? counters.Minus(Mark) : counters;

    /// <summary>The totals of the backend's whole life, given what the store's counters say now.</summary>
    public Tally Now(Tally counters, long birth) => Totals.Plus(Since(counters, birth));

    /// <summary>The one of <paramref name="records"/> that missed least; the first of equals. Each counts nothing twice, so the largest is right.</summary>
    public static BackendRecord Best(IEnumerable<BackendRecord?> records, Tally counters, long birth) =>
        records.OfType<BackendRecord>().MaxBy(record => record.Now(counters, birth).Requests) ?? None;

    /// <summary>These trips and those already known, without doubles, the newest <see cref="TripsKept"/>.</summary>
    public BackendRecord WithTrips(IEnumerable<Trip> trips) => this with
    {
        Trips = [.. Trips.Concat(trips).Where(trip => trip.AtUnixMs > ResetAtMs).DistinctBy(trip => trip.AtUnixMs).OrderBy(trip => trip.AtUnixMs).TakeLast(TripsKept)],
    };

    /// <exception cref="FormatException">It is no such state.</exception>
    /// <exception cref="NotSupportedException">It was written by a newer program.</exception>
    public static BackendRecord Parse(string json)
    {
        if (json.Length > MostText)
        {
            throw new FormatException($"longer than {MostText:N0} characters");
        }

        using var document = EntityJson.Parse(json);
        var root = document.RootElement;
        EntityJson.RequireSchema(root, Schema);
        var configured = EntityJson.Numbers(root, "configured", 3, 3);
        return new BackendRecord
        {
            Version = EntityJson.Number(root, "version"),
            Birth = EntityJson.Number(root, "birth"),
            Totals = Tally.Parse(EntityJson.Text(root, "totals")),
            Mark = Tally.Parse(EntityJson.Text(root, "mark")),
            History = HourLog.Parse(EntityJson.Text(root, "history")),
            ConfiguredVersion = configured[0],
            Threshold = configured[1],
            CooldownMs = configured[2],
            Trips = TripsOf(root),
            ResetAtMs = EntityJson.Number(root, "reset"),
        };
    }

    /// <summary>The list called <c>trips</c> of <paramref name="parent"/>; empty without one.</summary>
    /// <exception cref="FormatException">It is no such list.</exception>
    public static ImmutableArray<Trip> TripsOf(JsonElement parent) =>
        [.. EntityJson.Rows(parent, "trips", 2, TripsKept).Select(row => new Trip(row[0], row[1]))];

    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(2048);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", Schema);
            json.WriteNumber("version", Version);
            json.WriteNumber("birth", Birth);
            json.WriteString("totals", Totals.ToString());
            json.WriteString("mark", Mark.ToString());
            json.WriteString("history", History.ToString());
            json.WritePropertyName("configured");
            EntityJson.Write(json, [ConfiguredVersion, Threshold, CooldownMs]);
            json.WriteStartArray("trips");
            foreach (var trip in Trips)
            {
                EntityJson.Write(json, [trip.AtUnixMs, trip.Count]);
            }

            json.WriteEndArray();
            json.WriteNumber("reset", ResetAtMs);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
