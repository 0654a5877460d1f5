using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>
/// An error of our own in OpenAI's shape: <c>{"error":{"message","type","param","code","request_id"}}</c>
/// (OpenAI API reference, «Error codes»). Never holds a backend's URL or key, or a stack trace.
/// </summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Type">OpenAI's class of error: <c>invalid_request_error</c>, <c>rate_limit_error</c>, <c>server_error</c>, …</param>
/// <param name="Code">What programs look at.</param>
/// <param name="Message">What people read.</param>
internal sealed record ErrorAnswer(int Status, string Type, string Code, string Message)
{
    /// <summary>The code for a path that is nobody's.</summary>
    public const string UnknownUrl = "unknown_url";

    /// <summary>The request's field at fault; null for none.</summary>
    public string? Param { get; init; }

    /// <summary>Sent as <c>Retry-After</c>, rounded up to whole seconds; null for none.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static ErrorAnswer Invalid(string message, string code = "invalid_request", string? param = null) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", code, message) { Param = param };

    public static ErrorAnswer ModelNotFound(string model) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", "model_not_found", $"The model `{Shorten(model)}` does not exist or you do not have access to it.");

    public byte[] ToJson(string requestId)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            Write(json, requestId);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The same as a server-sent event, for an answer that is under way: with the event name and type that the API has for it.</summary>
    public byte[] ToEvent(ApiShape shape, string requestId)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        if (shape != ApiShape.Responses)
        {
            buffer.Write("data: "u8);
            buffer.Write(ToJson(requestId));
        }
        else
        {
            buffer.Write("event: error\ndata: "u8);
            using var json = new Utf8JsonWriter(buffer);
            json.WriteStartObject();
            json.WriteString("type", "error");
            json.WriteString("code", Code);
            json.WriteString("message", Message);
            json.WriteNull("param");
            json.WriteString("request_id", requestId);
            json.WriteEndObject();
        }

        buffer.Write("\n\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Sends it as the whole answer. Only while nothing has gone to the client.</summary>
    public async Task WriteAsync(HttpContext http, string requestId)
    {
        var body = ToJson(requestId);
        var response = http.Response;
        response.StatusCode = Status;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        response.Headers["X-Request-Id"] = requestId;
        if (RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        await response.Body.WriteAsync(body, CancellationToken.None);
    }

    private static string Shorten(string text) =>
        text.Length <= 128 ? text : string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[127]) ? 127 : 128), "…");

    private void Write(Utf8JsonWriter json, string requestId)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", Message);
        json.WriteString("type", Type);
        json.WriteString("param", Param);
        json.WriteString("code", Code);
        json.WriteString("request_id", requestId);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
