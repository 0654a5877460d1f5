using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>Statistics over time: of backends, or of client keys.</summary>
internal sealed class HistoryRoutes(History history, KeyHistory keyHistory, PoolSource pools, TimeProvider time)
{
    private const int MostPoints = 2_000;

    /// <summary>The first of January 9999 in Unix seconds.</summary>
    private const long LatestSecond = 253_370_764_800;

    private static readonly TimeSpan DefaultSpan = TimeSpan.FromHours(24);

    public async ValueTask<AdminReply?> ReadAsync(AdminCall call)
    {
        var now = time.GetUtcNow();
        if (Moment(call, "to", now, out var to) is { } refusal || (refusal = Moment(call, "from", to - DefaultSpan, out var from)) is not null)
        {
            return refusal;
        }

        var step = 3_600;
        if (call.Parameter("step") is { } text && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out step) || step is < 60 or > 86_400))
        {
            return AdminReply.InvalidParameter("step", $"'{AdminReply.Shown(text)}' is not valid; must be a whole number from 60 to 86,400 (seconds)");
        }

        if (from >= to || (to - from).TotalSeconds / step > MostPoints)
        {
            return from >= to ? AdminReply.InvalidParameter("from", "must be before to")
                : AdminReply.InvalidParameter("step", $"makes more than {MostPoints:N0} points; ask for a longer step or a shorter time");
        }

        var (backend, key) = (call.Parameter("backend"), call.Parameter("key"));
        if (backend is not null && key is not null)
        {
            return AdminReply.InvalidParameter("key", "cannot stand beside backend; ask for the one or the other");
        }

        return key is null
            ? await OfBackendsAsync(backend, from, to, TimeSpan.FromSeconds(step), call.Left)
            : await OfKeysAsync(key, from, to, TimeSpan.FromSeconds(step), call.Left);
    }

    private async Task<AdminReply> OfBackendsAsync(string? backend, DateTimeOffset from, DateTimeOffset to, TimeSpan step, CancellationToken left)
    {
        var report = await history.ReadAsync(backend, from, to, step, left);
        return backend is not null && report.Backends.IsEmpty
            ? AdminReply.UnknownBackend(backend, pools.Current.Backends.Select(known => known.Name))
            : AdminReply.Data(Page(report));
    }

    private async Task<AdminReply> OfKeysAsync(string key, DateTimeOffset from, DateTimeOffset to, TimeSpan step, CancellationToken left)
    {
        var isOne = key != ClientKeyList.Every;
        var report = await keyHistory.ReadAsync(isOne ? key : null, from, to, step, left);
        return report.Fault switch
        {
            KeyHistoryFault.TooMany => AdminReply.InvalidParameter(
                "step", $"makes more than {KeyHistory.MostPoints:N0} points of all keys together; ask for a longer step, a shorter time, or one key"),
            KeyHistoryFault.Unread => AdminReply.Error(
                StatusCodes.Status503ServiceUnavailable, "redis_unavailable", "Redis does not answer, and without it hours would be missing; ask again later."),
            _ => isOne && report.Keys.IsEmpty ? AdminReply.UnknownKey(key, pools.Current.Keys.Keys) : AdminReply.Data(Page(report)),
        };
    }

    private static JsonObject Page(HistoryReport report) => new()
    {
        ["from"] = AdminJson.Time(report.From),
        ["to"] = AdminJson.Time(report.To),
        ["step"] = report.Step.TotalSeconds,
        ["backends"] = new JsonArray([.. report.Backends.Select(backend => new JsonObject
        {
            ["name"] = backend.Name,
            ["points"] = new JsonArray([.. backend.Points.Where(point => !point.Counted.IsEmpty).Select(Point)]),
            ["trips"] = new JsonArray([.. backend.Trips.Where(trip => IsWithin(report, trip)).Select(trip => new JsonObject
            {
                ["time"] = AdminJson.Time(DateTimeOffset.FromUnixTimeMilliseconds(trip.AtUnixMs)),
                ["count"] = trip.Count,
            })]),
        })]),
    };

    private static JsonObject Page(KeyHistoryReport report) => new()
    {
        ["from"] = AdminJson.Time(report.Span.From),
        ["to"] = AdminJson.Time(report.Span.To),
        ["step"] = report.Span.Step.TotalSeconds,
        ["keys"] = new JsonArray([.. report.Keys.Select(key => new JsonObject
        {
            ["name"] = key.Name,
            ["points"] = new JsonArray([.. key.Points.Where(point => !point.Counted.IsEmpty).Select(KeyPoint)]),
        })]),
    };

    private static bool IsWithin(HistoryReport report, Trip trip) =>
        trip.AtUnixMs >= report.From.ToUnixTimeMilliseconds() && trip.AtUnixMs < report.To.ToUnixTimeMilliseconds();

    private static JsonObject Point(HistoryPoint point)
    {
        var counted = point.Counted;
        return new JsonObject
        {
            ["time"] = AdminJson.Time(point.Start),
            ["total_requests"] = counted.Requests,
            ["successful_requests"] = counted.Successes,
            ["failed_requests"] = counted.Failures,
            ["success_rate"] = AdminJson.Ratio(counted.Successes, counted.Failures),
            ["average_response_time"] = AdminJson.Seconds(point.MeanDurationMs ?? 0),
            ["time_to_first_token"] = new JsonObject { ["count"] = counted.FirstTokens, ["mean"] = AdminJson.Seconds(point.MeanFirstTokenMs ?? 0) },
            ["input_tokens"] = counted.InputTokens,
            ["output_tokens"] = counted.OutputTokens,
        };
    }

    private static JsonObject KeyPoint(HistoryPoint point) => new()
    {
        ["time"] = AdminJson.Time(point.Start),
        ["requests"] = point.Counted.Successes,
        ["refusals"] = point.Counted.Failures,
        ["input_tokens"] = point.Counted.InputTokens,
        ["output_tokens"] = point.Counted.OutputTokens,
    };

    /// <summary>A time in ISO 8601 or Unix seconds.</summary>
    private static AdminReply? Moment(AdminCall call, string key, DateTimeOffset unless, out DateTimeOffset moment)
    {
        moment = unless;
        if (call.Parameter(key) is not { } text)
        {
            return null;
        }

        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0 and < LatestSecond)
        {
            moment = DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
            return null;
        }

        // A plus sign that was not escaped arrives as a blank. Before 1970 nothing was counted, and at the ends of the calendar no step fits.
        return DateTimeOffset.TryParse(text.Replace(' ', '+'), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out moment)
            && moment.ToUnixTimeSeconds() is >= 0 and < LatestSecond ? null
            : AdminReply.InvalidParameter(key, $"'{AdminReply.Shown(text)}' is not valid; must be a time like 2026-11-22T07:00:00Z, or Unix seconds");
    }
}
