using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Roadbalancer;

/// <summary>One message of a conversation: OpenAI API reference, «Create chat completion», <c>messages</c>.</summary>
public sealed record Message
{
    /// <summary>A message of text.</summary>
    /// <param name="role">Who speaks: <c>system</c>, <c>developer</c>, <c>user</c>, <c>assistant</c> or <c>tool</c>.</param>
    /// <param name="content">What is said; null for an assistant that only calls tools.</param>
    /// <exception cref="ArgumentException"><paramref name="role"/> is null or blank.</exception>
    public Message(string role, string? content = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(role);
        Role = role;
        Content = content;
    }

    /// <summary>Who speaks.</summary>
    public string Role { get; }

    /// <summary>What is said, as text; null for none.</summary>
    public string? Content { get; }

    /// <summary>What is said as the API's array of parts (text, images, audio); sent in place of <see cref="Content"/>. Default none.</summary>
    public JsonArray? Parts { get; init; }

    /// <summary>The calls that the assistant made, from <see cref="ChatResult.ToolCalls"/>. Default none.</summary>
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }

    /// <summary>Which call a message of the role <c>tool</c> answers: <see cref="ToolCall.Id"/>. Default none.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Tells speakers of one role apart. Default none.</summary>
    public string? Name { get; init; }
}

/// <summary>A function that the model may call: OpenAI API reference, «Create chat completion», <c>tools</c>.</summary>
public sealed record Tool
{
    /// <summary>Describes a function.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">What it does, for the model to read.</param>
    /// <param name="parameters">Its parameters as a JSON schema; null for none.</param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is null or blank, or <paramref name="parameters"/> is not a JSON object.</exception>
    public Tool(string name, string? description = null, [StringSyntax(StringSyntaxAttribute.Json)] string? parameters = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        Name = name;
        Description = description;
        Parameters = parameters;
        try
        {
            if (parameters is not null && JsonNode.Parse(parameters) is not JsonObject)
            {
                throw new ArgumentException("A schema is a JSON object.", nameof(parameters));
            }
        }
        catch (JsonException exception)
        {
            throw new ArgumentException("The schema is not JSON.", nameof(parameters), exception);
        }
    }

    /// <summary>The function's name.</summary>
    public string Name { get; }

    /// <summary>What it does; null for nothing said.</summary>
    public string? Description { get; }

    /// <summary>Its parameters as a JSON schema; null for none.</summary>
    public string? Parameters { get; }
}

/// <summary>A call that the model wants made.</summary>
/// <param name="Id">Goes into <see cref="Message.ToolCallId"/> of the answer.</param>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">The arguments as the model wrote them: JSON, if all is well.</param>
public sealed record ToolCall(string Id, string Name, string Arguments);

/// <summary>What a chat request may carry beyond the common arguments.</summary>
public sealed record ChatExtras
{
    /// <summary>Requests of one session stay at one endpoint under <see cref="BalancingStrategy.ConsistentHash"/>: sent as <c>X-Session-Id</c>. Printable ASCII. Default none.</summary>
    public string? SessionId { get; init; }

    /// <summary>Only endpoints that have all of these <see cref="Endpoint.Tags"/> are used: sent as <c>X-Backend-Tags</c>. Default none.</summary>
    public IReadOnlyCollection<string>? Tags { get; init; }

    /// <summary>
    /// Further fields of the request's body, by the API's names: <c>["top_p"] = 0.9</c>, <c>["tool_choice"] = "required"</c>. A value is anything
    /// that serialises to JSON. A field of the same name as an argument wins over it; null leaves that field out. Default none.
    /// </summary>
    public IReadOnlyDictionary<string, object?>? Fields { get; init; }
}
