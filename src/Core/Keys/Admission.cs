using System.Globalization;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Keys;

/// <summary>One request under a key with limits: what was reserved for it, until what it used is settled.</summary>
internal sealed class Admission(IKeyBooks books, KeyCounter counter, TimeProvider time, KeyDemand demand, long promptTokens)
{
    /// <summary>How long a key that was refused is taken for one that may be refused again.</summary>
    private static readonly TimeSpan Doubt = TimeSpan.FromSeconds(1);

    private KeyVerdict? _verdict;

    /// <summary>A limit refused the request.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>The key was at a limit a moment ago: a backend is asked for a place only when this request is let in.</summary>
    public bool IsDoubtful => counter.RefusedAt != long.MinValue && time.GetElapsedTime(counter.RefusedAt) < Doubt;

    private KeyLimits Limits => demand.Key.Limits;

    /// <summary>Reserves what the request may use; the error that its client gets when a limit is reached.</summary>
    public async ValueTask<ErrorAnswer?> ReserveAsync()
    {
        _verdict = await books.ReserveAsync(demand);
        if (_verdict is not { Refusal: not KeyRefusal.None } refused)
        {
            return null;
        }

        IsRefused = true;
        counter.Refuse(time.GetTimestamp());
        return ErrorFor(refused);
    }

    public void WriteHeaders(IHeaderDictionary headers)
    {
        if (_verdict is { } verdict)
        {
            RateLimitHeaders.Write(headers, Limits, verdict);
            if (verdict.Refusal == KeyRefusal.TooLarge)
            {
                // OpenAI's own clients heed it: this request is refused however long they wait.
                headers["x-should-retry"] = "false";
            }
        }
    }

    /// <summary>The request is over: puts what it used in place of what was reserved. Nothing waits for it.</summary>
    public void End(Exchange exchange)
    {
        if (_verdict is { Refusal: KeyRefusal.None } verdict)
        {
            var settling = books.SettleAsync(demand, verdict, Limits.TokensPerMinute is null ? 0 : TokensUsed.By(exchange, promptTokens));
            if (!settling.IsCompletedSuccessfully)
            {
                _ = settling.AsTask();
            }
        }
    }

    private ErrorAnswer ErrorFor(in KeyVerdict refused)
    {
        var (name, wait) = (demand.Key.Name, RateLimitHeaders.Format(refused.Wait));
        return refused.Refusal switch
        {
            KeyRefusal.Requests => Refusal("requests", refused.Wait, string.Create(CultureInfo.InvariantCulture,
                $"Rate limit reached for key `{name}` on requests per min (RPM): Limit {Limits.RequestsPerMinute}, Used {refused.UsedRequests}, Requested 1. Please try again in {wait}.")),
            KeyRefusal.Tokens => Refusal("tokens", refused.Wait, string.Create(CultureInfo.InvariantCulture,
                $"Rate limit reached for key `{name}` on tokens per min (TPM): Limit {Limits.TokensPerMinute}, Used {refused.UsedTokens}, Requested {demand.Tokens}. Please try again in {wait}.")),
            KeyRefusal.Concurrency => Refusal("requests", refused.Wait, string.Create(CultureInfo.InvariantCulture,
                $"Key `{name}` may have {Limits.MaxConcurrency} requests at the same time, and has them. Please try again when one of them has ended.")),
            _ => Refusal("tokens", null, string.Create(CultureInfo.InvariantCulture,
                $"Request too large for key `{name}` on tokens per min (TPM): Limit {Limits.TokensPerMinute}, Requested {demand.Tokens}. The prompt or the maximum of the answer must be smaller.")),
        };
    }

    private static ErrorAnswer Refusal(string type, TimeSpan? wait, string message) =>
        new(StatusCodes.Status429TooManyRequests, type, "rate_limit_exceeded", message) { RetryAfter = wait };
}
