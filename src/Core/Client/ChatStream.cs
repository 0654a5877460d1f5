using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Roadbalancer.Client;

/// <summary>Reads the events of a streamed chat and keeps what the last item has to tell.</summary>
internal sealed class ChatStream
{
    private readonly StringBuilder _text = new();
    private readonly SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> _calls = [];
    private bool _hasText;
    private string? _error;
    private string? _errorCode;

    /// <summary>Nothing that follows belongs to the answer.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Takes one event; what it brings for the reader, or null for nothing.</summary>
    public ChatDelta? Take(SseItem<string> item)
    {
        if (item.Data == "[DONE]")
        {
            IsOver = true;
            return null;
        }

        using var document = AnswerJson.Parse(Encoding.UTF8.GetBytes(item.Data));
        return document is null ? null : Take(document.RootElement);
    }

    /// <summary>What came of it all.</summary>
    /// <param name="head">What the answer's head told.</param>
    /// <param name="broken">Why the stream ended before its end; null when it did not.</param>
    public ChatResult End(ChatResult head, string? broken)
    {
        var error = _error ?? broken ?? (FinishReason is null ? "The answer ended before it was complete." : null);
        return head with
        {
            Success = error is null,
            Error = error,
            ErrorCode = _error is not null ? _errorCode : error is null ? null : "stream_broken",
            Content = _hasText ? _text.ToString() : null,
            ToolCalls = [.. _calls.Values.Select(call => new ToolCall(call.Id, call.Name, call.Arguments.ToString()))],
            FinishReason = FinishReason,
            Usage = Usage,
            Model = Model,
        };
    }

    private string? FinishReason { get; set; }

    private TokenUsage? Usage { get; set; }

    private string? Model { get; set; }

    private ChatDelta? Take(JsonElement chunk)
    {
        if (chunk.TryError(out var message, out var code))
        {
            (_error, _errorCode, IsOver) = (message, code, true);
            return null;
        }

        Model ??= chunk.Text("model");
        Usage = chunk.Usage() ?? Usage;
        if (chunk.First("choices") is not { } choice || choice.Number("index") is > 0)
        {
            return null;
        }

        FinishReason = choice.Text("finish_reason") ?? FinishReason;
        if (choice.Get("delta") is not { } delta)
        {
            return null;
        }

        var text = delta.Text("content");
        _hasText |= text is { Length: > 0 };
        _text.Append(text);
        var calls = CallsOf(delta);
        return text is { Length: > 0 } || calls.Count > 0 ? new ChatDelta { Content = text ?? "", ToolCalls = calls } : null;
    }

    private List<ToolCallDelta> CallsOf(JsonElement delta)
    {
        var pieces = new List<ToolCallDelta>();
        foreach (var item in delta.Items("tool_calls"))
        {
            var function = item.Get("function");
            var piece = new ToolCallDelta(
                item.Number("index") ?? 0, item.Text("id"), function?.Text("name"), function?.Text("arguments") ?? "");
            var call = _calls.TryGetValue(piece.Index, out var known) ? known : ("", "", new StringBuilder());
            call.Item3.Append(piece.Arguments);
            _calls[piece.Index] = (piece.Id ?? call.Item1, piece.Name ?? call.Item2, call.Item3);
            pieces.Add(piece);
        }

        return pieces;
    }
}
