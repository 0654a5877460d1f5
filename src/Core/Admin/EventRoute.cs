using System.Globalization;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;

namespace Roadbalancer.Admin;

/// <summary><c>GET /events</c>: the feed as a stream of server-sent events (HTML Standard, section 9.2).</summary>
internal sealed class EventRoute(EventFeed feed, StatusTicker ticker, AdminAccess access, IHostApplicationLifetime lifetime, TimeProvider time)
{
    private const int MostRecent = 500;

    /// <summary>A stream ends by itself then: the Functions host restarts a program whose call takes too long, and a client that is gone for good is not always seen to go.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    private static readonly string[] Types = ["transition", "change", "status"];

    public async ValueTask<AdminReply?> StreamAsync(AdminCall call)
    {
        string[] types = call.Parameter("types")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? Types;
        if (types.Length == 0 || types.Except(Types).FirstOrDefault() is not null)
        {
            return AdminReply.InvalidParameter("types", $"'{AdminReply.Shown(call.Parameter("types")!)}' is not valid; must be some of {string.Join(", ", Types)}");
        }

        var recent = 0;
        if (call.Parameter("recent") is { } text && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out recent) || recent > MostRecent))
        {
            return AdminReply.InvalidParameter("recent", $"'{AdminReply.Shown(text)}' is not valid; must be a whole number from 0 to {MostRecent}");
        }

        var lastId = call.Http.Request.Headers["Last-Event-ID"].ToString();
        if (feed.Listen(lastId.Length > 0 ? lastId : null, recent) is not { } events)
        {
            return AdminReply.Error(StatusCodes.Status503ServiceUnavailable, "too_many_streams", "Too many event streams are open at this instance.");
        }

        ticker.Start();
        try
        {
            await WriteAsync(call, events, types);
        }
        catch (OperationCanceledException)
        {
            // The listener left, its time is over, or the program ends.
        }
        finally
        {
            feed.Leave(events);
        }

        return null;
    }

    private async Task WriteAsync(AdminCall call, Channel<FeedEvent> events, string[] types)
    {
        using var timer = new CancellationTokenSource(Longest, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, call.Left, lifetime.ApplicationStopping);
        var response = call.Http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["X-Accel-Buffering"] = "no";
        await response.Body.WriteAsync("retry: 2000\n\n"u8.ToArray(), end.Token);
        await response.Body.FlushAsync(end.Token);
        await foreach (var one in events.Reader.ReadAllAsync(end.Token))
        {
            // Whose key was taken away meanwhile hears nothing more; the next request is told why.
            if (access.Check(call.Http).Refusal is not null)
            {
                break;
            }

            if (types.Contains(one.Type))
            {
                await response.Body.WriteAsync(one.Frame, end.Token);
                await response.Body.FlushAsync(end.Token);
            }
        }
    }
}
