namespace Roadbalancer.Proxy;

/// <summary>What a body was read as.</summary>
internal enum BodyFormat
{
    /// <summary>Nothing that is read: empty, or of a type without facts.</summary>
    None,

    /// <summary>One JSON object.</summary>
    Json,

    /// <summary><c>multipart/form-data</c>, as audio and image edits send it.</summary>
    Multipart,
}

/// <summary>What <see cref="RequestFacts.Affinity"/> is.</summary>
internal enum AffinitySource
{
    /// <summary>Nothing: the request has neither a key, a user nor a prompt.</summary>
    None,

    /// <summary><c>prompt_cache_key</c>.</summary>
    PromptCacheKey,

    /// <summary><c>user</c>.</summary>
    User,

    /// <summary>The start of <c>messages</c>, <c>prompt</c> or <c>input</c>.</summary>
    Prompt,
}

/// <summary>
/// What a decision, an edit or a recovery needs to know of a request. Filled by <see cref="RequestReader"/>, not changed afterwards.
/// Only keys at the top level count. Ranges and offsets are into the body as it was received.
/// </summary>
internal sealed class RequestFacts
{
    /// <summary>The facts of a body that is not read.</summary>
    public static RequestFacts None { get; } = new();

    public BodyFormat Format { get; init; }

    /// <summary><c>model</c>; null when absent or <c>null</c>.</summary>
    public string? Model { get; set; }

    /// <summary>The value of <c>model</c> as it stands: with its quotes in JSON (or the word <c>null</c>), bare in multipart. May be present and empty in multipart: see <see cref="HasModel"/>.</summary>
    public ByteRange ModelValue { get; set; }

    /// <summary>Whether there is a <c>model</c> field at all, be it null or empty.</summary>
    public bool HasModel { get; set; }

    /// <summary><c>stream</c>; false when absent.</summary>
    public bool Stream { get; set; }

    /// <summary><c>stream_options.include_usage</c>; false when absent.</summary>
    public bool IncludeUsage { get; set; }

    /// <summary>Whether any of <c>max_tokens</c>, <c>max_completion_tokens</c>, <c>max_output_tokens</c> has a value other than null.</summary>
    public bool HasMaxTokens { get; set; }

    /// <summary>The value of <c>max_tokens</c> when it is <c>null</c>: a default replaces it there, as a second key would be ambiguous.</summary>
    public ByteRange NullMaxTokens { get; set; }

    /// <summary>Whether <c>temperature</c> has a value other than null.</summary>
    public bool HasTemperature { get; set; }

    /// <summary>The value of <c>temperature</c> when it is <c>null</c>; see <see cref="NullMaxTokens"/>.</summary>
    public ByteRange NullTemperature { get; set; }

    /// <summary>Whether the same answer may be expected twice: <c>temperature</c> is 0, or <c>seed</c> has a value.</summary>
    public bool IsDeterministic { get; set; }

    /// <summary><c>n</c>: how many answers are asked for, 1 or more. Default 1.</summary>
    public int Choices { get; set; } = 1;

    /// <summary>How many prompts <c>prompt</c> holds, each answered <see cref="Choices"/> times: more than 1 for a list of strings or of token lists. Default 1.</summary>
    public int Prompts { get; set; } = 1;

    /// <summary>Whether <c>logprobs</c> is true or a number.</summary>
    public bool HasLogprobs { get; set; }

    /// <summary>Whether <c>tools</c> or <c>functions</c> has an element.</summary>
    public bool HasTools { get; set; }

    /// <summary>Whether the client itself set <c>continue_final_message</c> or <c>add_generation_prompt</c>, to whatever value.</summary>
    public bool SteersContinuation { get; set; }

    /// <summary>What keeps the request near to earlier ones like it, by its <see cref="AffinityHash"/>; absent when <see cref="AffinitySource"/> is none.</summary>
    public ByteRange Affinity { get; set; }

    public AffinitySource AffinitySource { get; set; }

    /// <summary>Where new members go. JSON: just after the opening brace. Multipart: before the first delimiter.</summary>
    public int InsertAt { get; set; }

    /// <summary>Whether the JSON object has no members: what is inserted then needs no comma behind it.</summary>
    public bool IsEmptyObject { get; set; }

    /// <summary>The <c>messages</c> array of a chat completion, brackets included; absent for other paths.</summary>
    public ByteRange Messages { get; set; }

    /// <summary>The last element of <see cref="Messages"/>; absent when there is none.</summary>
    public ByteRange LastMessage { get; set; }

    /// <summary>Multipart: the first delimiter, <c>--boundary</c>, without what follows it in its line.</summary>
    public ByteRange Delimiter { get; set; }
}
