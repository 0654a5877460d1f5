using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;

namespace Roadbalancer.Admin;

/// <summary>What is told of the whole: status, metrics, history.</summary>
internal sealed class ReportRoutes(StandingReader reader, StatusView view, History history, TimeProvider time)
{
    private const int MostPoints = 2_000;

    /// <summary>The first of January 9999 in Unix seconds.</summary>
    private const long LatestSecond = 253_370_764_800;

    private static readonly TimeSpan DefaultSpan = TimeSpan.FromHours(24);

    public async ValueTask<AdminReply?> StatusAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        return AdminReply.Data(view.Status(standing));
    }

    public async ValueTask<AdminReply?> MetricsAsync(AdminCall call)
    {
        var standing = await reader.ReadAsync(call.Left);
        return AdminReply.Data(new JsonObject
        {
            ["backends"] = new JsonArray([.. standing.Pool.Backends.Select((_, index) => BackendView.Metrics(standing, index))]),
            ["time"] = AdminJson.Time(time.GetUtcNow()),
        });
    }

    public async ValueTask<AdminReply?> HistoryAsync(AdminCall call)
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

        var backend = call.Parameter("backend");
        var report = await history.ReadAsync(backend, from, to, TimeSpan.FromSeconds(step), call.Left);
        return backend is not null && report.Backends.IsEmpty
            ? AdminReply.UnknownBackend(backend, (await reader.ReadAsync(call.Left)).Pool.Backends.Select(known => known.Name))
            : AdminReply.Data(Page(report));
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
