using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>One request to the management API by someone who may.</summary>
/// <param name="http">The request.</param>
/// <param name="by">The admin key's name.</param>
/// <param name="name">What stands for <c>{name}</c> in the route; empty for a route without it.</param>
internal sealed class AdminCall(HttpContext http, string by, string name)
{
    private const int LargestBody = 1024 * 1024;

    public HttpContext Http { get; } = http;

    /// <summary>Who asks, for the audit.</summary>
    public string By { get; } = by;

    /// <summary>Where from, for the audit.</summary>
    public string From => Http.Connection.RemoteIpAddress?.ToString() ?? "unknown";

    public string Name { get; } = name;

    /// <summary>Cancelled when the caller leaves.</summary>
    public CancellationToken Left => Http.RequestAborted;

    /// <summary>The query's parameter; null when it is missing or empty.</summary>
    public string? Parameter(string key) => Http.Request.Query[key].ToString() is { Length: > 0 } value ? value : null;

    /// <summary>The body as a JSON object, or why it is none.</summary>
    public async ValueTask<(JsonElement Body, AdminReply? Refusal)> ReadObjectAsync()
    {
        if (await ReadBodyAsync() is not { } bytes)
        {
            return (default, AdminReply.Error(StatusCodes.Status413PayloadTooLarge, "body_too_large", $"The body is larger than {LargestBody} bytes."));
        }

        if (JsonSettings.Parse(bytes, out var problem) is not { } root)
        {
            return (default, InvalidJson(problem!.Text));
        }

        if (root.Kind != SettingKind.Map)
        {
            return (default, InvalidJson("not a JSON object"));
        }

        using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
        return (Plain(document.RootElement), null);
    }

    /// <summary>A copy without comments.</summary>
    private static JsonElement Plain(JsonElement element)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            element.WriteTo(json);
        }

        using var document = JsonDocument.Parse(buffer.WrittenMemory);
        return document.RootElement.Clone();
    }

    private static AdminReply InvalidJson(string problem) =>
        AdminReply.Error(StatusCodes.Status400BadRequest, "invalid_json", $"The body must be a JSON object: {problem}.");

    private async ValueTask<byte[]?> ReadBodyAsync()
    {
        if (Http.Request.ContentLength > LargestBody)
        {
            return null;
        }

        var body = new ArrayBufferWriter<byte>();
        int read;
        while ((read = await Http.Request.Body.ReadAsync(body.GetMemory(16 * 1024), Left)) > 0)
        {
            body.Advance(read);
            if (body.WrittenCount > LargestBody)
            {
                return null;
            }
        }

        return body.WrittenSpan.ToArray();
    }
}
