using Roadbalancer.Wire;

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
    public static AnswerType Of(WireHeaders headers)
    {
        if (headers["Content-Type"] is not { } value)
        {
            return AnswerType.Other;
        }

        var end = value.IndexOf(';', StringComparison.Ordinal);
        var type = (end < 0 ? value : value.AsSpan(0, end)).Trim();
        return type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase) ? AnswerType.EventStream
            : type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase) ? AnswerType.Json
            : AnswerType.Other;
    }
}
