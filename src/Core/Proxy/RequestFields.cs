using System.Text.Json;

namespace Roadbalancer.Proxy;

/// <summary>The members of a JSON request that mean something to us.</summary>
internal enum RequestField
{
    /// <summary>Any other.</summary>
    Other,
    Model,
    Stream,
    StreamOptions,
    IncludeUsage,
    MaxTokens,

    /// <summary><c>max_completion_tokens</c> or <c>max_output_tokens</c>.</summary>
    OtherMaxTokens,
    Temperature,
    Seed,
    N,
    Logprobs,

    /// <summary><c>tools</c> or <c>functions</c>.</summary>
    Tools,
    PromptCacheKey,
    User,
    Messages,
    Prompt,
    Input,

    /// <summary><c>continue_final_message</c> or <c>add_generation_prompt</c>.</summary>
    Continuation,
}

/// <summary>From a property's name to its <see cref="RequestField"/>.</summary>
internal static class RequestFields
{
    /// <summary>The longest name, with every character written as <c>\uXXXX</c>.</summary>
    private const int LongestEscaped = 22 * 6;

    /// <summary>The field that the reader's property name stands for, however it is escaped.</summary>
    public static RequestField Find(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return Find(reader.ValueSpan);
        }

        if (reader.ValueSpan.Length > LongestEscaped)
        {
            return RequestField.Other;
        }

        Span<byte> plain = stackalloc byte[LongestEscaped];
        try
        {
            return Find(plain[..reader.CopyString(plain)]);
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: no name of ours has one.
            return RequestField.Other;
        }
    }

    private static RequestField Find(ReadOnlySpan<byte> name) => name.Length switch
    {
        1 when name[0] == 'n' => RequestField.N,
        4 when name.SequenceEqual("user"u8) => RequestField.User,
        4 when name.SequenceEqual("seed"u8) => RequestField.Seed,
        5 when name.SequenceEqual("model"u8) => RequestField.Model,
        5 when name.SequenceEqual("tools"u8) => RequestField.Tools,
        5 when name.SequenceEqual("input"u8) => RequestField.Input,
        6 when name.SequenceEqual("stream"u8) => RequestField.Stream,
        6 when name.SequenceEqual("prompt"u8) => RequestField.Prompt,
        8 when name.SequenceEqual("messages"u8) => RequestField.Messages,
        8 when name.SequenceEqual("logprobs"u8) => RequestField.Logprobs,
        9 when name.SequenceEqual("functions"u8) => RequestField.Tools,
        10 when name.SequenceEqual("max_tokens"u8) => RequestField.MaxTokens,
        11 when name.SequenceEqual("temperature"u8) => RequestField.Temperature,
        13 when name.SequenceEqual("include_usage"u8) => RequestField.IncludeUsage,
        14 when name.SequenceEqual("stream_options"u8) => RequestField.StreamOptions,
        16 when name.SequenceEqual("prompt_cache_key"u8) => RequestField.PromptCacheKey,
        17 when name.SequenceEqual("max_output_tokens"u8) => RequestField.OtherMaxTokens,
        21 when name.SequenceEqual("max_completion_tokens"u8) => RequestField.OtherMaxTokens,
        21 when name.SequenceEqual("add_generation_prompt"u8) => RequestField.Continuation,
        22 when name.SequenceEqual("continue_final_message"u8) => RequestField.Continuation,
        _ => RequestField.Other,
    };
}
