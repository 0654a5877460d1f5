using System.Globalization;
using System.Text.Json;

namespace Roadbalancer.Cli.Api;

/// <summary>What can go wrong with a call, in a sentence that says what to do next. Nothing of the key is in any.</summary>
internal static class ApiProblem
{
    public static string Unreachable(string server, HttpRequestException exception) => exception.HttpRequestError switch
    {
        HttpRequestError.NameResolutionError => $"Cannot find the host of {server}: check --server-url.",
        HttpRequestError.SecureConnectionError => $"Cannot agree on TLS with {server} ({Innermost(exception)}): check --server-url and the certificate.",
        HttpRequestError.ConnectionError =>
            $"Cannot reach {server} ({Innermost(exception)}): is the balancer running? Start it with «dotnet run --project src/Functions», or set --server-url.",
        _ => $"{server} broke the connection ({Innermost(exception)}): try again, and see the balancer's log.",
    };

    public static string Silent(string server, TimeSpan waited) =>
        string.Create(CultureInfo.InvariantCulture, $"{server} did not answer within {waited.TotalSeconds:0} s: see the balancer's log.");

    public static string NotABalancer(string server) => $"{server} answers, but not as a balancer with a management API does: check --server-url.";

    /// <summary>An answer that is not a success.</summary>
    public static string Of(string server, HttpResponseMessage response, JsonElement json, bool hasKey)
    {
        var error = json.Member("error");
        if (error.Text("message") is not { } message)
        {
            return (int)response.StatusCode switch
            {
                >= 300 and < 400 => $"{server} redirects to {response.Headers.Location?.ToString() ?? "another address"}: set --server-url to the balancer itself.",
                >= 200 and < 300 or 404 or 405 => NotABalancer(server),
                var status => $"{server} answered {status}: see the balancer's log, or check --server-url.",
            };
        }

        var next = error.Text("code") switch
        {
            "invalid_api_key" => hasKey ? "give another admin key with --api-key or ROADBALANCER_ADMIN_KEY" : "give an admin key with --api-key or ROADBALANCER_ADMIN_KEY",
            "not_an_admin_key" => "give an admin key with --api-key or ROADBALANCER_ADMIN_KEY; this one is for clients",
            "admin_keys_required" => "set ROADBALANCER_ADMIN_KEYS where the balancer runs, and give one of them with --api-key",
            "unknown_route" => "is the balancer older than this command?",
            "internal_error" => $"its log has it under {RequestId(response)}",
            "backend_not_found" or "key_not_found" => null,
            "name_taken" => "choose another with --name, or change that one with «update»",
            "last_backend" => "add another one first",
            "balancing_off" => "switch balancing on where the balancer is configured",
            _ => null,
        };
        var text = string.Join("; ", Details(error) is { Count: > 1 } several ? several : [message]).TrimEnd('.');
        return next is null ? text + "." : $"{text}: {next}{(next.EndsWith('?') ? "" : ".")}";
    }

    private static List<string> Details(JsonElement error) => [.. error.Items("details").Select(detail => detail.Text("message")).OfType<string>()];

    private static string RequestId(HttpResponseMessage response) =>
        response.Headers.TryGetValues("X-Request-Id", out var values) ? values.First() : "the request's id";

    private static string Innermost(Exception exception)
    {
        while (exception.InnerException is { } inner)
        {
            exception = inner;
        }

        return exception.Message.TrimEnd('.');
    }
}
