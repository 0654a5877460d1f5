using System.Text.Json;

namespace Roadbalancer.Simulation;

/// <summary>An error in OpenAI's shape, rendered once.</summary>
internal sealed record SimulatedError(int Status, byte[] Body)
{
    public static SimulatedError ContextLength { get; } = Of(
        400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce the length of the messages.", "invalid_request_error", "context_length_exceeded", "messages");

    public static SimulatedError ContentFilter { get; } = Of(
        400, "The response was filtered due to the prompt triggering the content management policy. Please modify your prompt and retry.", "invalid_request_error", "content_filter", "prompt");

    public static SimulatedError Quota { get; } = Of(
        429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota");

    public static SimulatedError ModelAbsent { get; } = Of(
        404, "The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found", "model");

    public static SimulatedError PrefixRefused { get; } = Of(
        400, "The last message must be from the user.", "invalid_request_error", null, "messages");

    public static SimulatedError NoSuchRoute { get; } = Of(404, "Unknown request URL.", "invalid_request_error", "unknown_url");

    public static SimulatedError BadBody { get; } = Of(400, "We could not parse the JSON body of your request.", "invalid_request_error", null);

    /// <summary>The data of an error event inside a stream.</summary>
    public static byte[] Event { get; } = [.. "data: "u8, .. For(500).Body, .. "\n\n"u8];

    /// <summary>The usual error object of a status.</summary>
    public static SimulatedError For(int status) => status switch
    {
        401 => Of(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
        403 => Of(403, "You are not allowed to use this model.", "invalid_request_error", "permission_denied"),
        404 => ModelAbsent,
        429 => Of(429, "Rate limit reached for requests. Please try again later.", "requests", "rate_limit_exceeded"),
        503 or 529 => Of(status, "The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
        >= 500 => Of(status, "The server had an error while processing your request. Sorry about that!", "server_error", null),
        _ => Of(status, "The request is invalid.", "invalid_request_error", null),
    };

    public static SimulatedError Of(int status, string message, string type, string? code, string? param = null) =>
        new(status, JsonSerializer.SerializeToUtf8Bytes(new { error = new { message, type, param, code } }));
}
