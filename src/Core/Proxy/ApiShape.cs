namespace Roadbalancer.Proxy;

/// <summary>Which of OpenAI's APIs a path belongs to, as far as reading its answers differs.</summary>
internal enum ApiShape
{
    /// <summary>Any other route: answers are passed on and checked for wholeness of transport only.</summary>
    Other,

    /// <summary><c>chat/completions</c>: a stream is complete when every choice has a <c>finish_reason</c>.</summary>
    Chat,

    /// <summary><c>completions</c>: as chat, with <c>text</c> for <c>delta</c>.</summary>
    Completion,

    /// <summary><c>responses</c>: a stream is complete with <c>response.completed</c>, <c>.incomplete</c> or <c>.failed</c>.</summary>
    Responses,
}

internal static class ApiShapes
{
    /// <summary>Whether a path asks a model for something, which any key of a backend may; other routes may want other rights.</summary>
    public static bool IsInference(ReadOnlySpan<char> path) =>
        Of(path) != ApiShape.Other || path is "embeddings" or "rerank" or "moderations" or "models"
        || path.StartsWith("images/") || path.StartsWith("audio/") || path.StartsWith("models/");

    /// <param name="path">What follows <c>/v1/</c>.</param>
    public static ApiShape Of(ReadOnlySpan<char> path) => path switch
    {
        "chat/completions" => ApiShape.Chat,
        "completions" => ApiShape.Completion,
        "responses" => ApiShape.Responses,
        _ => ApiShape.Other,
    };
}
