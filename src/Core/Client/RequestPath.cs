namespace Roadbalancer.Client;

/// <summary>Finds the balancer's path in the address that a client library has put together, whatever base address that library was given.</summary>
internal static class RequestPath
{
    private const string Version = "/v1/";

    /// <summary>First segments of the API's routes, for base addresses without <c>/v1</c>.</summary>
    private static readonly HashSet<string> Routes = new(StringComparer.OrdinalIgnoreCase)
    {
        "chat", "completions", "embeddings", "responses", "rerank", "moderations", "images", "audio", "models", "files", "uploads", "batches",
        "fine_tuning", "vector_stores", "assistants", "threads", "containers", "evals", "conversations", "realtime", "videos",
    };

    /// <summary>
    /// <c>/v1/…</c> as it is escaped in <paramref name="uri"/>, and the query with its <c>?</c>. What follows the first <c>/v1/</c> counts; without
    /// one, what begins with the first segment that is a route of the API; without that, the whole path.
    /// </summary>
    public static (string Path, string Query) Map(Uri uri)
    {
        var (path, query) = uri.IsAbsoluteUri ? (uri.AbsolutePath, uri.Query) : Split(uri.OriginalString);
        var version = path.IndexOf(Version, StringComparison.OrdinalIgnoreCase);
        if (version >= 0)
        {
            return (Version + path[(version + Version.Length)..], query);
        }

        for (var start = 0; start >= 0 && start < path.Length; start = path.IndexOf('/', start + 1))
        {
            var rest = path.AsSpan(start).TrimStart('/');
            var end = rest.IndexOf('/');
            if (Routes.Contains((end < 0 ? rest : rest[..end]).ToString()))
            {
                return (Version + rest.ToString(), query);
            }
        }

        return (Version + path.TrimStart('/'), query);
    }

    private static (string Path, string Query) Split(string relative)
    {
        var query = relative.IndexOf('?', StringComparison.Ordinal);
        var path = query < 0 ? relative : relative[..query];
        return ("/" + path.TrimStart('/'), query < 0 ? "" : relative[query..]);
    }
}
