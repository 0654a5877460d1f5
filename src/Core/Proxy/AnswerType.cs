namespace Roadbalancer.Proxy;

/// <summary>What an answer's <c>Content-Type</c> says of how it is read.</summary>
internal enum AnswerType
{
    Other,

    /// <summary><c>application/json</c> or a type ending in <c>+json</c>.</summary>
    Json,

    /// <summary><c>text/event-stream</c>.</summary>
    EventStream,
}

internal static class AnswerTypes
{
    public static AnswerType Of(HttpResponseMessage response)
    {
        // The two that nearly every answer has, as they are nearly always spelt, are told without parsing.
        if (response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var values) && values.Count == 1 && values.ToString() is var text)
        {
            if (text is "application/json")
            {
                return AnswerType.Json;
            }

            if (text is "text/event-stream")
            {
                return AnswerType.EventStream;
            }
        }

        return response.Content.Headers.ContentType?.MediaType is not { } type ? AnswerType.Other
            : type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase) ? AnswerType.EventStream
            : type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase) ? AnswerType.Json
            : AnswerType.Other;
    }
}
