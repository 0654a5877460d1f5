using System.Text.Json;

namespace Roadbalancer.Tests.Support;

/// <summary>The JSON of OpenAI's chat API, for scripts that need its parts one by one.</summary>
internal static class ScriptedChat
{
    public const string Id = "chatcmpl-scripted";
    public const long Created = 1_700_000_000;
    public const int PromptTokens = 7;

    /// <summary>The whole answer; one token a word, <see cref="PromptTokens"/> tokens asked.</summary>
    public static string Body(string text, string model = "scripted-model", string finishReason = "stop", string id = Id) => JsonSerializer.Serialize(new
    {
        id,
        @object = "chat.completion",
        created = Created,
        model,
        choices = new[] { new { index = 0, message = new { role = "assistant", content = text }, logprobs = (object?)null, finish_reason = finishReason } },
        usage = Usage(text),
    });

    /// <summary>The data of every event before <c>[DONE]</c>: the role, a chunk a word, the finish, and the usage when wanted.</summary>
    public static IReadOnlyList<string> Events(string text, string model = "scripted-model", bool usage = false, string id = Id) =>
        [Role(model, id), .. Words(text).Select(word => Content(word, model, id)), Finish("stop", model, id), .. usage ? [UsageChunk(text, model, id)] : Array.Empty<string>()];

    /// <summary>The first chunk: a role and no content.</summary>
    public static string Role(string model = "scripted-model", string id = Id) => Chunk(new { role = "assistant", content = "" }, null, model, id);

    public static string Content(string text, string model = "scripted-model", string id = Id) => Chunk(new { content = text }, null, model, id);

    public static string Finish(string reason = "stop", string model = "scripted-model", string id = Id) => Chunk(new { }, reason, model, id);

    /// <summary>The chunk without choices that <c>stream_options.include_usage</c> asks for.</summary>
    public static string UsageChunk(string text, string model = "scripted-model", string id = Id) => JsonSerializer.Serialize(new
    {
        id,
        @object = "chat.completion.chunk",
        created = Created,
        model,
        choices = Array.Empty<object>(),
        usage = Usage(text),
    });

    /// <summary>OpenAI's error object.</summary>
    public static string Error(string? code, string message, string type = "server_error") =>
        JsonSerializer.Serialize(new { error = new { message, type, param = (string?)null, code } });

    /// <summary>The pieces that a text is streamed in: each word with the space before it.</summary>
    public static IReadOnlyList<string> Words(string text) =>
        [.. text.Split(' ').Select((word, index) => index == 0 ? word : " " + word)];

    private static string Chunk(object delta, string? finishReason, string model, string id) => JsonSerializer.Serialize(new
    {
        id,
        @object = "chat.completion.chunk",
        created = Created,
        model,
        choices = new[] { new { index = 0, delta, logprobs = (object?)null, finish_reason = finishReason } },
    });

    private static object Usage(string text)
    {
        var words = Words(text).Count;
        return new { prompt_tokens = PromptTokens, completion_tokens = words, total_tokens = PromptTokens + words };
    }
}
