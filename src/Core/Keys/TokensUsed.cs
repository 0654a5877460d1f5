using Roadbalancer.Proxy;

namespace Roadbalancer.Keys;

/// <summary>What a request that is over has used.</summary>
internal static class TokensUsed
{
    /// <summary>
    /// Tokens charged to its key: what the answer that the client got reports; where it reports nothing, the estimated prompt and what was
    /// sent to the client. Attempts that came to nothing are the balancer's affair and cost nothing; a client that leaves pays for its prompt.
    /// </summary>
    public static long By(Exchange exchange, long promptTokens)
    {
        if (Reported(exchange) is { } reported)
        {
            return reported.Input + reported.Output;
        }

        var last = exchange.Attempts.Count > 0 ? exchange.Attempts[^1].Outcome?.Kind : null;
        return exchange.Http.Response.StatusCode < 400 && (exchange.HasStarted || last == OutcomeKind.Succeeded) ? promptTokens + Sent(exchange)
            : last == OutcomeKind.ClientLeft ? promptTokens
            : 0;
    }

    /// <summary>What the answer that the client got says of itself; null when it says nothing, or did not come to its end.</summary>
    public static (long Input, long Output)? Reported(Exchange exchange)
    {
        foreach (var attempt in exchange.Attempts)
        {
            if (attempt.Outcome is { Kind: OutcomeKind.Succeeded } whole && (whole.InputTokens is not null || whole.OutputTokens is not null))
            {
                return (whole.InputTokens ?? 0, whole.OutputTokens ?? 0);
            }
        }

        return null;
    }

    /// <summary>An estimate of the answer as far as it was sent: of a stream its text, or a token an event where that is more; else its bytes.</summary>
    private static long Sent(Exchange exchange)
    {
        if (exchange.Streamed is { } stream)
        {
            return Math.Max(stream.Events, TokenEstimate.OfText(stream.Log.Bytes));
        }

        return exchange.Shape == ApiShape.Other ? 0 : (exchange.Http.Response.ContentLength ?? 0) / 4;
    }
}
