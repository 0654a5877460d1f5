using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;

namespace Roadbalancer.Tests.Proxy;

public sealed class ErrorAnswerTests
{
    private static readonly ErrorAnswer _error = new(503, "server_error", "no_healthy_backend", "None \"at all\"\n😀");

    [Fact]
    public void ToJson_HasOpenAisShape()
    {
        using var json = JsonDocument.Parse(_error.ToJson("req_1"));
        var error = json.RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code", "request_id"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal(["None \"at all\"\n😀", "server_error", null, "no_healthy_backend", "req_1"], error.EnumerateObject().Select(property => property.Value.GetString()));
    }

    [Fact]
    public void ToEvent_Chat_IsTheErrorObject()
    {
        var text = Encoding.UTF8.GetString(_error.ToEvent(ApiShape.Chat, "req_1"));
        Assert.Equal("data: " + Encoding.UTF8.GetString(_error.ToJson("req_1")) + "\n\n", text);
        Assert.DoesNotContain('\n', text[..^2]);
    }

    [Fact]
    public void ToEvent_Responses_IsItsErrorEvent()
    {
        var lines = Encoding.UTF8.GetString(_error.ToEvent(ApiShape.Responses, "req_1")).Split('\n');
        Assert.Equal("event: error", lines[0]);
        using var json = JsonDocument.Parse(lines[1]["data: ".Length..]);
        Assert.Equal(("error", "no_healthy_backend", "req_1"), (json.RootElement.GetProperty("type").GetString(),
            json.RootElement.GetProperty("code").GetString(), json.RootElement.GetProperty("request_id").GetString()));
        Assert.Equal(["", ""], lines[2..]);
    }

    [Theory]
    [InlineData(0, "1")]
    [InlineData(1, "1")]
    [InlineData(999, "1")]
    [InlineData(1000, "1")]
    [InlineData(1001, "2")]
    [InlineData(3_600_000, "3600")]
    public async Task WriteAsync_RetryAfter_IsRoundedUpToWholeSeconds(int milliseconds, string expected)
    {
        var http = await WriteAsync(_error with { RetryAfter = TimeSpan.FromMilliseconds(milliseconds) });
        Assert.Equal(expected, http.Response.Headers.RetryAfter);
    }

    [Fact]
    public async Task WriteAsync_WholeAnswer_HasStatusLengthAndId()
    {
        var http = await WriteAsync(_error);
        var body = ((MemoryStream)http.Response.Body).ToArray();
        Assert.Equal((503, "application/json", body.Length, "req_1"), (http.Response.StatusCode, http.Response.ContentType, http.Response.ContentLength, http.Response.Headers["X-Request-Id"]));
        Assert.Equal(0, http.Response.Headers.RetryAfter.Count);
        Assert.Equal(_error.ToJson("req_1"), body);
    }

    [Theory]
    [InlineData(120)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(129)]
    [InlineData(5000)]
    public void ModelNotFound_LongName_IsShortenedToValidText(int length)
    {
        var name = new string('m', length - 2) + "😀";
        var message = ErrorAnswer.ModelNotFound(name).ToJson("req_1");
        using var json = JsonDocument.Parse(message);
        var text = json.RootElement.GetProperty("error").GetProperty("message").GetString()!;
        Assert.InRange(text.Length, 1, 250);
        Assert.DoesNotContain('\uFFFD', text);
        Assert.Equal("model_not_found", json.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    private static async Task<HttpContext> WriteAsync(ErrorAnswer error)
    {
        var http = new DefaultHttpContext { Response = { Body = new MemoryStream() } };
        await error.WriteAsync(http, "req_1");
        return http;
    }
}
