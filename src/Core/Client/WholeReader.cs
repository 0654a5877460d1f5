namespace Roadbalancer.Client;

/// <summary>Why there is no answer.</summary>
internal readonly record struct AnswerError(string Message, string? Code)
{
    public static AnswerError Broken { get; } = new("The answer broke off and could not be completed.", "stream_broken");

    public static AnswerError NotUnderstood { get; } = new("The endpoint's answer is not what the API describes.", "bad_backend_answer");

    /// <summary>What an answer with an error status says.</summary>
    public static AnswerError Of(int status, ReadOnlyMemory<byte> body)
    {
        using var document = AnswerJson.Parse(body);
        return document is not null && document.RootElement.TryError(out var message, out var code)
            ? new AnswerError(message, code)
            : new AnswerError($"The endpoint answered with status {status}.", null);
    }
}

/// <summary>Turns whole answers into results.</summary>
internal static class WholeReader
{
    public static ChatResult Chat(ChatResult head, ReadOnlyMemory<byte> body)
    {
        using var document = AnswerJson.Parse(body);
        if (document?.RootElement.First("choices") is not { } choice || choice.Get("message") is not { } message)
        {
            return head with { Error = AnswerError.NotUnderstood.Message, ErrorCode = AnswerError.NotUnderstood.Code };
        }

        return head with
        {
            Success = true,
            Content = message.Text("content"),
            ToolCalls = message.ToolCalls(),
            FinishReason = choice.Text("finish_reason"),
            Usage = document.RootElement.Usage(),
            Model = document.RootElement.Text("model"),
        };
    }

    /// <param name="count">How many inputs there were.</param>
    public static EmbedResult Embeddings(EmbedResult head, ReadOnlyMemory<byte> body, int count)
    {
        using var document = AnswerJson.Parse(body);
        var vectors = new ReadOnlyMemory<float>[count];
        var found = 0;
        foreach (var item in document?.RootElement.Items("data") ?? [])
        {
            var index = item.Number("index") ?? found;
            if (index < 0 || index >= count || vectors[index].Length > 0 || item.Vector() is not { Length: > 0 } vector)
            {
                found = -1;
                break;
            }

            vectors[index] = vector;
            found++;
        }

        return found != count
            ? head with { Error = AnswerError.NotUnderstood.Message, ErrorCode = AnswerError.NotUnderstood.Code }
            : head with { Success = true, Embeddings = vectors, Usage = document!.RootElement.Usage(), Model = document.RootElement.Text("model") };
    }
}
