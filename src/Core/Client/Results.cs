namespace Roadbalancer;

/// <summary>Tokens that an answer was reported to have cost. What was not reported is 0.</summary>
/// <param name="PromptTokens">Tokens of the request.</param>
/// <param name="CompletionTokens">Tokens of the answer; 0 for embeddings.</param>
/// <param name="TotalTokens">Both together, as reported.</param>
public sealed record TokenUsage(long PromptTokens, long CompletionTokens, long TotalTokens);

/// <summary>What came of a request. Whatever endpoints do ends up in here; nothing of it is thrown.</summary>
public abstract record RequestResult
{
    private protected RequestResult()
    {
    }

    /// <summary>The answer is whole and usable.</summary>
    public bool Success { get; init; }

    /// <summary>Why there is no answer, for people to read; null after success.</summary>
    public string? Error { get; init; }

    /// <summary>The error's code, for programs to look at: <c>no_healthy_backend</c>, <c>rate_limit_exceeded</c>, …; null where none was given.</summary>
    public string? ErrorCode { get; init; }

    /// <summary>The HTTP status that a server would have answered with, 200 to 599.</summary>
    public int StatusCode { get; init; }

    /// <summary>The tokens that the endpoint reported; null when it reported none.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>The name of the endpoint that answered, or gave the last error; null when none did.</summary>
    public string? Endpoint { get; init; }

    /// <summary>From the call to the end of the answer, all attempts included.</summary>
    public TimeSpan ResponseTime { get; init; }

    /// <summary>How many times endpoints were asked, 0 when none could be.</summary>
    public int Attempts { get; init; }

    /// <summary>The model that answered, as it calls itself; null when the answer names none.</summary>
    public string? Model { get; init; }

    /// <summary>The id that logs have for this request.</summary>
    public string? RequestId { get; init; }
}

/// <summary>What came of a chat request.</summary>
public sealed record ChatResult : RequestResult
{
    /// <summary>The answer's text; null when it has none, which an answer of tool calls need not have. Of a stream that broke off, what had come.</summary>
    public string? Content { get; init; }

    /// <summary>The calls that the model wants made; empty for none.</summary>
    public IReadOnlyList<ToolCall> ToolCalls { get; init; } = [];

    /// <summary>Why the model stopped: <c>stop</c>, <c>length</c>, <c>tool_calls</c>, <c>content_filter</c>; null when it did not say.</summary>
    public string? FinishReason { get; init; }
}

/// <summary>A piece of a tool call in a stream; pieces of one call have the same <see cref="Index"/>.</summary>
/// <param name="Index">Which call of the answer, from 0.</param>
/// <param name="Id">The call's id, in its first piece; else null.</param>
/// <param name="Name">The function's name, in its first piece; else null.</param>
/// <param name="Arguments">The next piece of the arguments; may be empty.</param>
public sealed record ToolCallDelta(int Index, string? Id, string? Name, string Arguments);

/// <summary>
/// One item of a streamed answer. Items bring text or pieces of tool calls; the last one brings <see cref="Result"/>, and is there
/// whatever happens.
/// </summary>
public sealed record ChatDelta
{
    /// <summary>The next piece of the text; empty for none.</summary>
    public string Content { get; init; } = "";

    /// <summary>The next pieces of tool calls; empty for none.</summary>
    public IReadOnlyList<ToolCallDelta> ToolCalls { get; init; } = [];

    /// <summary>What came of the whole request, its text and usage included; null but in the last item.</summary>
    public ChatResult? Result { get; init; }

    /// <summary>The tokens that the endpoint reported; null but in the last item.</summary>
    public TokenUsage? Usage => Result?.Usage;
}

/// <summary>What came of a request for embeddings.</summary>
public sealed record EmbedResult : RequestResult
{
    /// <summary>A vector for each input, in the inputs' order; empty without success.</summary>
    public IReadOnlyList<ReadOnlyMemory<float>> Embeddings { get; init; } = [];
}
