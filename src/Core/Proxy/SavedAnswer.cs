using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>A backend's error answer, kept so that the client can have it as it was when nothing better comes.</summary>
internal sealed class SavedAnswer
{
    /// <summary>The most that is kept of its body, in bytes.</summary>
    public const int BodyLimit = 1024 * 1024;

    private readonly List<KeyValuePair<string, string>> _headers = [];
    private readonly byte[] _body;
    private readonly TimeSpan? _retryAfter;

    /// <param name="retryAfter">The wait that the answer asks for.</param>
    public SavedAnswer(string backend, int status, WireHeaders headers, ReadOnlySpan<byte> body, TimeSpan? retryAfter)
    {
        _retryAfter = retryAfter;
        Backend = backend;
        Status = status;
        _body = body.ToArray();
        Keep(headers);
    }

    public string Backend { get; }

    public int Status { get; }

    /// <param name="exchange">Whose client gets it.</param>
    /// <param name="soonest">The shortest wait that any backend asked for; told in place of a longer one, as that is when asking again is worth it.</param>
    public async Task WriteAsync(Exchange exchange, TimeSpan? soonest)
    {
        var response = exchange.Http.Response;
        response.StatusCode = Status;
        response.ContentLength = _body.Length;
        foreach (var (name, value) in _headers)
        {
            response.Headers[name] = StringValues.Concat(response.Headers[name], value);
        }

        // A backend that says «too many» without saying until when is parked for a second: the client is told as much.
        var told = Status == StatusCodes.Status429TooManyRequests && _retryAfter is null ? TimeSpan.FromSeconds(1) : soonest;
        if (told is { } wait && !(_retryAfter <= wait))
        {
            response.Headers.Remove("retry-after-ms");
            response.Headers.RetryAfter = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        Trail.Write(exchange, response.Headers, Backend);
        if (!HttpMethods.IsHead(exchange.Http.Request.Method))
        {
            await response.Body.WriteAsync(_body, exchange.ClientLeft);
        }
    }

    /// <summary>The same as an error of ours, for an answer whose head has gone out; null when its body does not have OpenAI's shape.</summary>
    public ErrorAnswer? ToError()
    {
        try
        {
            using var json = JsonDocument.Parse(_body);
            return json.RootElement.TryGetProperty("error", out var error) && error.TryGetProperty("message", out var message) && message.GetString() is { } text
                ? new ErrorAnswer(Status, Text(error, "type") ?? "server_error", Text(error, "code") ?? "backend_error", text) { Param = Text(error, "param") }
                : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }

        static string? Text(JsonElement error, string name) => error.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private void Keep(WireHeaders headers)
    {
        foreach (var (name, value) in headers)
        {
            // Its body is kept decoded.
            if (HeaderRules.PassesToClient(name) && HeaderRules.IsWritable(value) && !name.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                _headers.Add(new(name, value));
            }
        }
    }
}
