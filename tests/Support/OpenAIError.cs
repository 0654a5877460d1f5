using System.Net;
using System.Text.Json;

namespace Roadbalancer.Tests.Support;

/// <summary>OpenAI's error object, as the balancer writes it.</summary>
internal static class OpenAIError
{
    /// <summary>Asserts the status, the shape, the code and that the request's id is in header and body; returns the message.</summary>
    public static async Task<string> AssertAsync(HttpResponseMessage response, HttpStatusCode status, string code)
    {
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == response.StatusCode, $"{response.StatusCode}: {body}");
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        var message = AssertBody(body, code, response.Headers.GetValues("X-Request-Id").Single());
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal);
        Assert.DoesNotContain("127.0.0.1", body, StringComparison.Ordinal);
        return message;
    }

    private static string AssertBody(string body, string code, string requestId)
    {
        using var document = JsonDocument.Parse(body);
        var error = document.RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code", "request_id"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal((code, requestId), (error.GetProperty("code").GetString(), error.GetProperty("request_id").GetString()));
        Assert.NotEqual("", error.GetProperty("type").GetString());
        return error.GetProperty("message").GetString()!;
    }
}
