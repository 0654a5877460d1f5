using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;

namespace Roadbalancer.Admin;

/// <summary>Tells each second how things are, while anyone listens; and what other instances changed about a backend's standing.</summary>
internal sealed partial class StatusTicker(EventFeed feed, StandingReader reader, StatusView view, TimeProvider time, ILogger<StatusTicker> log)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private int _running;

    /// <summary>Begins, unless it has; it ends by itself when nobody listens any more.</summary>
    public void Start()
    {
        if (Interlocked.Exchange(ref _running, 1) == 0)
        {
            _ = RunAsync();
        }
    }

    private async Task RunAsync()
    {
        var (window, statuses) = (new RecentWindow(), new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase));
        while (feed.HasListeners)
        {
            try
            {
                var standing = await reader.ReadAsync(CancellationToken.None);
                Compare(standing, statuses);
                feed.PublishStatus(Status(standing, window));
            }
            catch (Exception exception)
            {
                // One status less; the next may come.
                LogFailed(exception);
            }

            await Task.Delay(Period, time, CancellationToken.None);
        }

        Volatile.Write(ref _running, 0);
        if (feed.HasListeners)
        {
            // Someone came between the look and the end.
            Start();
        }
    }

    private JsonObject Status(Standing standing, RecentWindow window)
    {
        var head = view.Head(standing);
        var backends = new JsonArray([.. standing.Pool.Backends.Select((_, index) => BackendView.Metrics(standing, index))]);
        window.Add(head, backends, standing);
        head["backends"] = backends;
        return head;
    }

    private void Compare(Standing standing, Dictionary<string, string> statuses)
    {
        var told = feed.TakeTold();
        for (var index = 0; index < standing.Pool.Backends.Length; index++)
        {
            var (name, status) = (standing.Pool.Backends[index].Name, standing.StatusOf(index));
            if (statuses.TryGetValue(name, out var before) && before != status && !told.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                feed.ReportStatus(name, status, before);
                feed.TakeTold();
            }

            statuses[name] = status;
        }
    }

    [LoggerMessage(7021, LogLevel.Error, "The status could not be told to those who listen")]
    private partial void LogFailed(Exception exception);
}
