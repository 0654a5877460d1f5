using System.Text;
using System.Text.Json;

namespace Roadbalancer.Tests.Support;

/// <summary>One request as it arrived at a <see cref="ScriptedUpstream"/>, byte for byte.</summary>
internal sealed class UpstreamRequest
{
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public required string Method { get; init; }

    /// <summary>The request target as sent: path and query.</summary>
    public required string Target { get; init; }

    /// <summary>Names and values in the order and the spelling in which they came.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; }

    public required byte[] Body { get; init; }

    /// <summary>0 for the first request that this upstream got, counted over all its connections.</summary>
    public required int Order { get; init; }

    /// <summary>0 for the first connection that this upstream accepted.</summary>
    public required int Connection { get; init; }

    /// <summary>When the request was complete, on the upstream's clock (<see cref="TimeProvider.GetTimestamp"/>).</summary>
    public required long ArrivedAt { get; init; }

    public string Path => Target.Split('?', 2)[0];

    public string Query => Target.Split('?', 2) is [_, var query] ? query : "";

    public string Text => Encoding.UTF8.GetString(Body);

    /// <summary>Completes when the client goes away before it has the whole answer.</summary>
    public Task Left => _left.Task;

    /// <summary>Whether the client went away before it had the whole answer.</summary>
    public bool LeftEarly => _left.Task.IsCompleted;

    /// <summary>Whether the body asks for a stream; false when it is not a JSON object.</summary>
    public bool WantsStream => Property("stream") is { ValueKind: JsonValueKind.True };

    /// <summary>Whether the body asks for the chunk with token counts at the stream's end.</summary>
    public bool WantsUsage =>
        Property("stream_options") is { ValueKind: JsonValueKind.Object } options
        && options.TryGetProperty("include_usage", out var wanted) && wanted.ValueKind == JsonValueKind.True;

    /// <summary>The first header of that name, whatever its case; null for none.</summary>
    public string? Header(string name) =>
        Headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    /// <summary>A property of the JSON body; null when there is none or the body is not a JSON object.</summary>
    public JsonElement? Property(string name)
    {
        try
        {
            using var body = JsonDocument.Parse(Body);
            return body.RootElement.ValueKind == JsonValueKind.Object && body.RootElement.TryGetProperty(name, out var value)
                ? value.Clone()
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    internal void MarkLeft() => _left.TrySetResult();
}
