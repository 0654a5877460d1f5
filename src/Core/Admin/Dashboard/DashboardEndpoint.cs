using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Admin.Dashboard;

/// <summary>
/// The page at <c>/dashboard/</c> and its files. They hold no data and no secret, so that anyone may have them: what they show they ask
/// of the management API, with the key that is entered in the page.
/// </summary>
internal sealed class DashboardEndpoint
{
    private const string Path = "/dashboard";

    /// <summary>Nothing from anywhere else, nothing inline, no frame around it (CSP Level 3).</summary>
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        + "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private readonly Lazy<IReadOnlyDictionary<string, DashboardFile>> _files = new(DashboardFile.ReadAll);

    /// <summary>Whether <paramref name="path"/> is the dashboard's.</summary>
    public static bool Serves(string path) =>
        path.StartsWith(Path, StringComparison.OrdinalIgnoreCase) && (path.Length == Path.Length || path[Path.Length] == '/');

    public Task HandleAsync(HttpContext http)
    {
        var (request, response) = (http.Request, http.Response);
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers.CacheControl = "no-cache";
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            response.Headers.Allow = "GET, HEAD";
            return TellAsync(http, StatusCodes.Status405MethodNotAllowed, "Only GET and HEAD here.");
        }

        var path = request.Path.Value!;
        if (path.Length == Path.Length)
        {
            // Relative, so that a path before it stays, and so do the page's own addresses, which are relative too.
            response.Headers.Location = "dashboard/";
            response.StatusCode = StatusCodes.Status302Found;
            return Task.CompletedTask;
        }

        var name = path[(Path.Length + 1)..];
        return _files.Value.TryGetValue(name.Length == 0 ? "index.html" : name, out var file)
            ? SendAsync(http, file)
            : TellAsync(http, StatusCodes.Status404NotFound, "The dashboard has no such file; it is at /dashboard/.");
    }

    private static async Task SendAsync(HttpContext http, DashboardFile file)
    {
        var (request, response) = (http.Request, http.Response);
        var form = file.FormFor(request.Headers.AcceptEncoding.ToString());
        response.Headers.ETag = form.Tag;
        response.Headers.Vary = "Accept-Encoding";
        if (Array.Exists(request.Headers.IfNoneMatch.ToString().Split(','), tag => tag.Trim() == form.Tag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        if (form.Encoding is { } encoding)
        {
            response.Headers.ContentEncoding = encoding;
        }

        response.ContentType = file.ContentType;
        response.ContentLength = form.Bytes.Length;
        if (!HttpMethods.IsHead(request.Method))
        {
            await response.Body.WriteAsync(form.Bytes, http.RequestAborted);
        }
    }

    private static Task TellAsync(HttpContext http, int status, string text)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "text/plain; charset=utf-8";
        return http.Response.WriteAsync(text + "\n", http.RequestAborted);
    }
}
