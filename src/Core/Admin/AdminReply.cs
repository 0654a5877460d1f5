using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>What the management API answers: <c>{"status":"success","message"?,"data"?}</c> or <c>{"error":{"code","message","field"?,"details"?}}</c>.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Body">The JSON.</param>
internal sealed record AdminReply(int Status, JsonObject Body)
{
    /// <summary>Headers beside it, <c>Allow</c> and <c>Location</c> for instance.</summary>
    public (string Name, string Value)? Header { get; init; }

    /// <summary>The error's code; null for a success.</summary>
    public string? Code => (string?)Body["error"]?["code"];

    public static AdminReply Data(JsonNode data) => new(StatusCodes.Status200OK, new() { ["status"] = "success", ["data"] = data });

    public static AdminReply Done(string message, JsonNode data, int status = StatusCodes.Status200OK) =>
        new(status, new() { ["status"] = "success", ["message"] = message, ["data"] = data });

    public static AdminReply Error(int status, string code, string message, string? field = null)
    {
        var error = new JsonObject { ["code"] = code, ["message"] = message };
        if (field is not null)
        {
            error["field"] = field;
        }

        return new(status, new() { ["error"] = error });
    }

    /// <summary>What the configuration's rules say of fields; the first in full, all of them in <c>details</c>.</summary>
    public static AdminReply Invalid(IReadOnlyList<OptionsError> errors)
    {
        var fields = errors.Select(error => (Field: error.Key.TrimStart('.'), Text: (error with { Key = error.Key.TrimStart('.') }).ToString())).ToList();
        var reply = fields[0].Field.Length == 0
            ? Error(StatusCodes.Status400BadRequest, "invalid_json", errors[0].Problem)
            : Error(StatusCodes.Status400BadRequest, "invalid_field", fields[0].Text, fields[0].Field);
        if (fields.Count > 1)
        {
            reply.Body["error"]!["details"] = new JsonArray(
                [.. fields.Select(field => new JsonObject { ["field"] = field.Field, ["message"] = field.Text })]);
        }

        return reply;
    }

    public static AdminReply InvalidField(string field, string problem) =>
        Error(StatusCodes.Status400BadRequest, "invalid_field", $"{field}: {problem}", field);

    public static AdminReply InvalidParameter(string name, string problem) =>
        Error(StatusCodes.Status400BadRequest, "invalid_parameter", $"{name}: {problem}", name);

    public static AdminReply UnknownBackend(string name, IEnumerable<string> known) => Error(
        StatusCodes.Status404NotFound, "backend_not_found", $"There is no backend '{Shown(name)}'; there are {string.Join(", ", known)}.");

    public static AdminReply UnknownKey(string name, IReadOnlyCollection<ClientKey> known) => Error(
        StatusCodes.Status404NotFound, "key_not_found", $"There is no key '{Shown(name)}'; there are {(known.Count == 0 ? "none" : string.Join(", ", known.Select(key => key.Name)))}.");

    /// <summary>What a caller wrote, short and in one line.</summary>
    public static string Shown(string text) =>
        new([.. text.Take(64).Select(letter => char.IsControl(letter) || char.IsSurrogate(letter) ? '?' : letter)]);

    public async Task WriteAsync(HttpContext http, string requestId)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(Body, AdminJson.Written);
        var response = http.Response;
        response.StatusCode = Status;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        response.Headers["X-Request-Id"] = requestId;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        if (Header is { } header)
        {
            response.Headers[header.Name] = header.Value;
        }

        await response.Body.WriteAsync(body, CancellationToken.None);
    }
}
