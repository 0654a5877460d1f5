using System.Net;
using System.Text;
using System.Text.Json;
using Roadbalancer.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

/// <summary>One reply of the management API.</summary>
internal sealed record Reply(HttpStatusCode Status, JsonElement Body, string Text, HttpResponseMessage Message)
{
    public JsonElement Data => Body.GetProperty("data");

    public string? Code => Body.GetProperty("error").GetProperty("code").GetString();

    public string Error => Body.GetProperty("error").GetProperty("message").GetString()!;

    public string? Field => Body.GetProperty("error").TryGetProperty("field", out var name) ? name.GetString() : null;
}

/// <summary>Calls the management API of a host, and holds every reply against the OpenAPI document.</summary>
internal static class AdminClient
{
    public const string Key = "k-admin-secret";

    public static Task<Reply> GetAsync(this BalancerHost host, string path, string? key = null) => host.CallAsync("GET", path, null, key);

    public static Task<Reply> CallAsync(this BalancerHost host, string method, string path, string? body = null, string? key = null, params (string Name, string Value)[] headers)
    {
        (string, string)[] all = key is null ? headers : [("X-API-Key", key), .. headers];
        return SendAsync(host.Http, method, path, body, all);
    }

    public static async Task<Reply> SendAsync(HttpClient http, string method, string path, string? body, (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), AdminEndpoint.Prefix + path);
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var reply = new Reply(response.StatusCode, JsonDocument.Parse(text).RootElement, text, response);
        Assert.Empty(ApiDescription.Faults(method, path, (int)response.StatusCode, reply.Body));
        return reply;
    }

    /// <summary>A call that must be well.</summary>
    public static async Task<Reply> DoAsync(this BalancerHost host, string method, string path, string? body = null, HttpStatusCode status = HttpStatusCode.OK)
    {
        var reply = await host.CallAsync(method, path, body);
        Assert.True(reply.Status == status, $"{method} {path}: {(int)reply.Status} {reply.Text}");
        return reply;
    }
}
