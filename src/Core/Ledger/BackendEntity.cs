using System.Globalization;
using System.Text.Json;

namespace Roadbalancer.Ledger;

/// <summary>
/// The durable account of one backend as a pure state machine: lifetime and hourly statistics, the circuit settings in force, the trips of
/// its circuit. It never throws, whatever arrives, and answers at once; state and input are told in <see cref="BackendRecord"/> and <see cref="BackendPut"/>.
/// </summary>
/// <remarks>
/// <c>put</c> {version, after, birth, totals, mark, hours or history, trips}: absolute values in place of those of version <c>after</c>. <c>configure</c> {version,
/// threshold, cooldown}: the settings in force. <c>trip</c> {at, count?}: the circuit opened. <c>reset</c> {at?}: clears the trip history up to then, or whole.
/// <c>get</c>: the state. <c>delete</c>: forgets all. A version already passed changes nothing and is a success.
/// </remarks>
internal static class BackendEntity
{
    public const string Name = "BackendEntity";

    /// <summary>The most that is read as an input.</summary>
    private const int MostInput = 128 * 1024;

    public static EntityReply Apply(string? state, string operation, string? input)
    {
        try
        {
            return operation == "delete" ? new EntityReply(null, null, null)
                : input is { Length: > MostInput } ? EntityReply.Refuse(state, $"{operation}: the input is longer than {MostInput:N0} characters")
                : Apply(state is null ? BackendRecord.None : BackendRecord.Parse(state), state, operation, input);
        }
        catch (FormatException exception)
        {
            return EntityReply.Refuse(state, $"{operation}: {exception.Message}");
        }
        catch (NotSupportedException exception)
        {
            return EntityReply.Refuse(state, $"{operation}: {exception.Message}");
        }
        catch (Exception exception)
        {
            // An answer that is none loses the whole batch, so that even a fault of this code ends in one.
            return EntityReply.Refuse(state, $"{exception.GetType().Name} in {Name}");
        }
    }

    private static EntityReply Apply(BackendRecord record, string? state, string operation, string? input) => operation switch
    {
        "put" => Put(record, state, BackendPut.Parse(input ?? "")),
        "configure" => Configure(record, state, input ?? ""),
        "trip" => Trip(record, state, input ?? ""),
        "reset" => Reset(record, input),
        "get" => new EntityReply(state, state, null),
        _ => EntityReply.Refuse(state, $"unknown operation '{(operation.Length <= 40 ? operation : operation[..40])}'; there are put, configure, trip, reset, get and delete"),
    };

    private static EntityReply Put(BackendRecord record, string? state, BackendPut put) =>
        put.Version <= record.Version || (put.After ?? record.Version) != record.Version ? Passed(state, record.Version) : Changed(put.ApplyTo(record), put.Version);

    private static EntityReply Configure(BackendRecord record, string? state, string input)
    {
        using var document = EntityJson.Parse(input);
        var root = document.RootElement;
        var (version, threshold, cooldown) = (EntityJson.Number(root, "version"), EntityJson.Number(root, "threshold"), EntityJson.Number(root, "cooldown"));
        return version <= record.ConfiguredVersion
            ? Passed(state, record.ConfiguredVersion)
            : Changed(record with { ConfiguredVersion = version, Threshold = threshold, CooldownMs = cooldown }, version);
    }

    private static EntityReply Trip(BackendRecord record, string? state, string input)
    {
        using var document = EntityJson.Parse(input);
        var trip = new Trip(EntityJson.Number(document.RootElement, "at"), EntityJson.OptionalNumber(document.RootElement, "count") ?? 1);
        var after = record.WithTrips([trip]);
        return after.Trips.SequenceEqual(record.Trips) ? Passed(state, record.Version) : Changed(after, record.Version);
    }

    private static EntityReply Reset(BackendRecord record, string? input)
    {
        long? at = null;
        if (!string.IsNullOrEmpty(input) && input != "null")
        {
            using JsonDocument document = EntityJson.Parse(input);
            at = EntityJson.OptionalNumber(document.RootElement, "at");
        }

        var until = at ?? (record.Trips.IsEmpty ? record.ResetAtMs : record.Trips[^1].AtUnixMs);
        return Changed((record with { ResetAtMs = Math.Max(record.ResetAtMs, until) }).WithTrips([]), record.Version);
    }

    private static EntityReply Passed(string? state, long version) => new(state, Result(version), null);

    private static EntityReply Changed(BackendRecord record, long version) => new(record.ToJson(), Result(version), null);

    private static string Result(long version) => string.Create(CultureInfo.InvariantCulture, $$"""{"version":{{version}}}""");
}
