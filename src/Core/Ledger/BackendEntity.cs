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
    internal const int MostInput = 128 * 1024;

    /// <summary>One operation. Of many on one state, <see cref="BackendRun"/> reads and writes it once.</summary>
    public static EntityReply Apply(string? state, string operation, string? input)
    {
        var run = new BackendRun(state);
        var (result, error) = run.Apply(operation, input);
        return error is null ? new(run.State, result, null) : EntityReply.Refuse(state, error);
    }

    /// <summary>The record after the operation, the very same where it changes nothing, and the operation's result.</summary>
    /// <exception cref="FormatException">The operation cannot be done; the message says why.</exception>
    internal static (BackendRecord Record, string Result) Change(BackendRecord record, string operation, string? input) => operation switch
    {
        "put" => Put(record, Parsed(input)),
        "configure" => Configure(record, input ?? ""),
        "trip" => Trip(record, input ?? ""),
        "reset" => Reset(record, input),
        _ => throw new FormatException($"unknown operation '{(operation.Length <= 40 ? operation : operation[..40])}'; there are put, configure, trip, reset, get and delete"),
    };

    private static BackendPut Parsed(string? input) => BackendPut.Parse(input ?? "");

    private static (BackendRecord Record, string Result) Put(BackendRecord record, BackendPut put) =>
        put.Version <= record.Version || (put.After ?? record.Version) != record.Version ? (record, Result(record.Version)) : (put.ApplyTo(record), Result(put.Version));

    private static (BackendRecord Record, string Result) Configure(BackendRecord record, string input)
    {
        using var document = EntityJson.Parse(input);
        var root = document.RootElement;
        var (version, threshold, cooldown) = (EntityJson.Number(root, "version"), EntityJson.Number(root, "threshold"), EntityJson.Number(root, "cooldown"));
        return version <= record.ConfiguredVersion
            ? (record, Result(record.ConfiguredVersion))
            : (record with { ConfiguredVersion = version, Threshold = threshold, CooldownMs = cooldown }, Result(version));
    }

    private static (BackendRecord Record, string Result) Trip(BackendRecord record, string input)
    {
        using var document = EntityJson.Parse(input);
        var trip = new Trip(EntityJson.Number(document.RootElement, "at"), EntityJson.OptionalNumber(document.RootElement, "count") ?? 1);
        var after = record.WithTrips([trip]);
        return (after.Trips.SequenceEqual(record.Trips) ? record : after, Result(record.Version));
    }

    private static (BackendRecord Record, string Result) Reset(BackendRecord record, string? input)
    {
        long? at = null;
        if (!string.IsNullOrEmpty(input) && input != "null")
        {
            using JsonDocument document = EntityJson.Parse(input);
            at = EntityJson.OptionalNumber(document.RootElement, "at");
        }

        var until = at ?? (record.Trips.IsEmpty ? record.ResetAtMs : record.Trips[^1].AtUnixMs);
        return ((record with { ResetAtMs = Math.Max(record.ResetAtMs, until) }).WithTrips([]), Result(record.Version));
    }

    private static string Result(long version) => string.Create(CultureInfo.InvariantCulture, $$"""{"version":{{version}}}""");
}
