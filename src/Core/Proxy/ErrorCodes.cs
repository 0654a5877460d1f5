using System.Collections.Frozen;

namespace Roadbalancer.Proxy;

/// <summary>What the codes, types and texts of LLM servers' errors stand for.</summary>
internal static class ErrorCodes
{
    private static readonly string[] _contextTexts =
    [
        "maximum context length", // OpenAI, vLLM, Mistral, DeepSeek
        "model's context length", // SGLang
        "context size", // llama.cpp before it had a type for it
        "context window",
        "prompt is too long", // Anthropic
        "input is too long", // Bedrock
        "input token count", // Gemini
        "`inputs` tokens + `max_new_tokens` must be", // TGI
    ];

    private static readonly FrozenDictionary<string, OutcomeKind> _kinds = new Dictionary<OutcomeKind, string[]>
    {
        [OutcomeKind.QuotaExhausted] =
        [
            "insufficient_quota", "quota_exceeded", "QuotaExceeded", "billing_hard_limit_reached", "billing_not_active", "billing_error",
            "insufficient_balance", "insufficient_credits", "insufficient_funds", "insufficient_user_quota", "credit_balance_too_low",
            "payment_required", "budget_exceeded", "exceeded_current_quota_error", "usage_limit_exceeded", "usage_limit_reached",
            "Arrearage", "AccountOverdueError",
        ],
        [OutcomeKind.ContextTooLong] =
        [
            "context_length_exceeded", "exceed_context_size_error", "context_window_exceeded", "ContextWindowExceededError",
            "prompt_too_long", "tokens_limit_reached", "model_max_prompt_tokens_exceeded",
        ],
        [OutcomeKind.ContentFiltered] =
        [
            "content_filter", "content_filtered", "content_policy_violation", "ContentPolicyViolationError", "ResponsibleAIPolicyViolation",
            "moderation_blocked", "data_inspection_failed", "DataInspectionFailed", "PROHIBITED_CONTENT",
        ],
        [OutcomeKind.ModelAbsent] =
        [
            "model_not_found", "model_not_available", "model_not_exist", "model_decommissioned", "invalid_model", "unknown_model",
            "ModelNotFound", "DeploymentNotFound", "InvalidEndpointOrModel.NotFound",
        ],
        [OutcomeKind.RateLimited] =
        [
            "rate_limit_exceeded", "rate_limit_error", "rate_limited", "rate_limit", "RateLimitReached", "RateLimitError", "RateLimitExceeded",
            "too_many_requests", "TooManyRequests", "requests", "tokens", "RESOURCE_EXHAUSTED", "throttling", "ThrottlingException",
        ],
        [OutcomeKind.Overloaded] =
        [
            "overloaded_error", "overloaded", "server_overloaded", "engine_overloaded", "engine_overloaded_error", "model_overloaded",
            "unavailable_error", "unavailable", "service_unavailable", "service_unavailable_error", "ServiceUnavailable",
            "ServiceUnavailableError", "NoCapacity", "no_capacity", "slow_down",
        ],
        [OutcomeKind.BadCredentials] =
        [
            "invalid_api_key", "API_KEY_INVALID", "authentication_error", "AuthenticationError", "invalid_authentication_error",
        ],
    }.SelectMany(row => row.Value, (row, code) => KeyValuePair.Create(code, row.Key)).ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>What the body's codes say, the most precise first; null when they say nothing that we know.</summary>
    public static OutcomeKind? KindOf(in ErrorBody body) =>
        KindOf(body.InnerCode) ?? KindOf(body.Code) ?? KindOf(body.Status) ?? KindOf(body.Type);

    /// <summary>
    /// What the text says where servers have no code for it. Texts are compared at their start, where a server puts its own words, so that
    /// a prompt which it repeats further on cannot have a backend parked; only the context's texts, which blame nobody, may be anywhere.
    /// </summary>
    public static OutcomeKind? KindOfText(string? message)
    {
        if (message is null)
        {
            return null;
        }

        if (StartsWith(message, "Your credit balance is too low") || StartsWith(message, "Out of call volume quota"))
        {
            return OutcomeKind.QuotaExhausted;
        }

        if (StartsWith(message, "API key not valid") || StartsWith(message, "Incorrect API key"))
        {
            return OutcomeKind.BadCredentials;
        }

        return SaysModelAbsent(message) ? OutcomeKind.ModelAbsent
            : Array.Exists(_contextTexts, text => message.Contains(text, StringComparison.OrdinalIgnoreCase)) ? OutcomeKind.ContextTooLong
            : null;
    }

    /// <summary>
    /// vLLM "The model `x` does not exist.", Ollama "model 'x' not found", Gemini "models/x is not found for API version v1", DeepSeek
    /// "Model Not Exist", Mistral "Invalid model: x", Anthropic "model: x" (that only beside its own type; see <see cref="ErrorClassifier"/>).
    /// </summary>
    private static bool SaysModelAbsent(string message)
    {
        if (StartsWith(message, "Invalid model: ") || message.EndsWith(" is not a valid model ID", StringComparison.Ordinal))
        {
            return true;
        }

        return (StartsWith(message, "model") || StartsWith(message, "the model"))
            && (message.Contains("not exist", StringComparison.OrdinalIgnoreCase) || message.Contains("not found", StringComparison.OrdinalIgnoreCase));
    }

    private static OutcomeKind? KindOf(string? code) => code is not null && _kinds.TryGetValue(code, out var kind) ? kind : null;

    private static bool StartsWith(string message, string start) => message.StartsWith(start, StringComparison.OrdinalIgnoreCase);
}
