using System.Reflection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Roadbalancer.Proxy;

namespace Roadbalancer.Admin;

/// <summary>The management API: checks who asks, finds the route, answers. <c>docs/management-api.md</c> is its contract.</summary>
internal sealed partial class AdminEndpoint(AdminRoutes routes, AdminAccess access, ILogger<AdminEndpoint> log)
{
    public const string Prefix = "/api/v1/load_balancer";

    private const string Description = "/api/v1/openapi.json";

    private byte[]? _description;

    /// <summary>Whether <paramref name="path"/> is the API's.</summary>
    public static bool Serves(string path) => path.StartsWith(Prefix + "/", StringComparison.OrdinalIgnoreCase)
        || path.Equals(Prefix, StringComparison.OrdinalIgnoreCase) || path.Equals(Description, StringComparison.OrdinalIgnoreCase);

    public async Task HandleAsync(HttpContext http)
    {
        var requestId = RequestIds.For(http);
        try
        {
            if (IsDescription(http.Request))
            {
                await WriteDescriptionAsync(http, requestId);
                return;
            }

            var (by, reply) = access.Check(http);
            if (reply is null)
            {
                http.Response.Headers["X-Request-Id"] = requestId;
                reply = await AnswerAsync(http, by);
            }
            else
            {
                LogRefused(http.Connection.RemoteIpAddress?.ToString() ?? "unknown", http.Request.Method, AdminReply.Shown(http.Request.Path.Value ?? ""), reply.Code);
            }

            await (reply?.WriteAsync(http, requestId) ?? Task.CompletedTask);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The caller left; there is nobody to tell.
        }
        catch (BadHttpRequestException exception) when (!http.Response.HasStarted)
        {
            await AdminReply.Error(exception.StatusCode, "bad_request", exception.Message).WriteAsync(http, requestId);
        }
        catch (Exception exception) when (!http.Response.HasStarted)
        {
            LogBug(exception, requestId);
            await AdminReply.Error(StatusCodes.Status500InternalServerError, "internal_error",
                "The balancer failed on this request; its log says why under the request's id.").WriteAsync(http, requestId);
        }
    }

    private static bool IsDescription(HttpRequest request) => HttpMethods.IsGet(request.Method)
        && (request.Path.Value!.Equals(Description, StringComparison.OrdinalIgnoreCase) || request.Path.Value.Equals(Prefix + "/openapi.json", StringComparison.OrdinalIgnoreCase));

    private async ValueTask<AdminReply?> AnswerAsync(HttpContext http, string by)
    {
        var path = http.Request.Path.Value!;
        var segments = path.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) ? path[Prefix.Length..].TrimEnd('/').Split('/') : [];
        var allowed = new List<string>();
        foreach (var route in routes.Table)
        {
            if (route.Match(segments) is not { } name)
            {
                continue;
            }

            if (route.Method == http.Request.Method)
            {
                return await route.AnswerAsync(new AdminCall(http, by, name));
            }

            allowed.Add(route.Method);
        }

        if (path.Equals(Description, StringComparison.OrdinalIgnoreCase))
        {
            allowed.Add("GET");
        }

        return allowed.Count > 0
            ? AdminReply.Error(StatusCodes.Status405MethodNotAllowed, "method_not_allowed", $"Only {string.Join(", ", allowed)} here.") with { Header = ("Allow", string.Join(", ", allowed)) }
            : AdminReply.Error(StatusCodes.Status404NotFound, "unknown_route", $"Unknown route: {AdminReply.Shown(path)}. GET /api/v1/openapi.json describes all.");
    }

    private async Task WriteDescriptionAsync(HttpContext http, string requestId)
    {
        if (_description is null)
        {
            await using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("Admin/openapi.json")!;
            using var copy = new MemoryStream();
            await stream.CopyToAsync(copy, http.RequestAborted);
            _description = copy.ToArray();
        }

        http.Response.ContentType = "application/json";
        http.Response.ContentLength = _description.Length;
        http.Response.Headers["X-Request-Id"] = requestId;
        http.Response.Headers.XContentTypeOptions = "nosniff";
        await http.Response.Body.WriteAsync(_description, http.RequestAborted);
    }
}
