using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>
/// Keeps the connection of a client that waits for an event stream from falling silent: after each period without a byte a comment goes out (HTML
/// standard, «Server-sent events»: a line that begins with a colon), the first one with the head of the answer.
/// </summary>
/// <remarks>Speaks only inside <see cref="WhileAsync"/>, that is while nobody else writes to the client.</remarks>
/// <param name="http">The client's request.</param>
/// <param name="requestId">For the head.</param>
/// <param name="period">The longest silence: <c>stream_keep_alive</c>.</param>
/// <param name="time">Measures it.</param>
internal sealed class KeepAlive(HttpContext http, string requestId, TimeSpan period, TimeProvider time)
{
    private static readonly TimeSpan Least = TimeSpan.FromMilliseconds(1);
    private static readonly byte[] Comment = ": keep-alive\n\n"u8.ToArray();

    private long _quietSince = time.GetTimestamp();

    /// <summary>A comment has gone out, and the head with it.</summary>
    public bool HasSpoken { get; private set; }

    /// <summary>Something has gone out just now.</summary>
    public void Heard() => _quietSince = time.GetTimestamp();

    /// <summary>The result of <paramref name="work"/>; as long as it is waited for, comments go out.</summary>
    public async Task<T> WhileAsync<T>(Task<T> work)
    {
        while (!work.IsCompleted)
        {
            // What came just when the time was over counts: only the work itself says how it ended.
            var left = period - time.GetElapsedTime(_quietSince);
            await ((Task)work).WaitAsync(left > Least ? left : Least, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (work.IsCompleted)
            {
                break;
            }

            try
            {
                await SpeakAsync();
            }
            catch
            {
                // A bug. What was lent to the work may be taken back only when it has ended.
                await ((Task)work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                throw;
            }
        }

        return await work;
    }

    private async Task SpeakAsync()
    {
        Heard();
        if (http.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        var response = http.Response;
        if (!response.HasStarted)
        {
            response.StatusCode = StatusCodes.Status200OK;
            response.ContentType = "text/event-stream";
            response.Headers.CacheControl = "no-cache";
            response.Headers["X-Request-Id"] = requestId;
            HasSpoken = true;
        }

        try
        {
            await response.Body.WriteAsync(Comment, http.RequestAborted);
            await response.Body.FlushAsync(http.RequestAborted);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // The client left; what is waited for ends by that, too.
        }
    }
}
