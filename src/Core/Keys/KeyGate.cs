using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Keys;

/// <summary>
/// What a client key may do: until when, with which models and backends, how much. Keys without limits pass without anything being reserved
/// or allocated for them. docs/client-keys.md tells the rules.
/// </summary>
internal sealed partial class KeyGate(IKeyBooks books, KeyUsage usage, TimeProvider time, ILogger<KeyGate> log)
{
    /// <summary>The error for a key that is no longer good, or null.</summary>
    public ErrorAnswer? Expired(ClientKey key) =>
        key.Limits.Expires is { } end && time.GetUtcNow() >= end
            ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "api_key_expired",
                $"The API key `{key.Name}` expired on {end.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}.")
            : null;

    /// <summary>
    /// Checks what the request asks for, and prepares what is to be reserved for it (<see cref="Exchange.Admission"/>); the error when it asks
    /// for what the key may not have.
    /// </summary>
    public ErrorAnswer? Enter(Exchange exchange, ClientKey key)
    {
        var limits = key.Limits;
        if (limits.AreSelective && NotPermitted(exchange, key) is { } error)
        {
            usage.Of(key.Name).Refuse(time.GetTimestamp());
            LogRefused(exchange.RequestId, key.Name, error.Code);
            return error;
        }

        if (limits.AreCounted)
        {
            var estimate = limits.TokensPerMinute is null ? default
                : TokenEstimate.Of(exchange.Body.Span, exchange.Facts, exchange.Shape, TokenEstimate.DefaultAnswer(exchange.Pool, exchange.Facts.Model));
            exchange.Admission = new Admission(books, usage.Of(key.Name), time, new KeyDemand(exchange.Pool.Name, key, estimate.Total), estimate.Prompt);
        }

        return null;
    }

    /// <summary>The request that <see cref="Enter"/> let in is over: settles and counts it.</summary>
    public void Leave(Exchange exchange, ClientKey key)
    {
        if (exchange.Admission is { } admission)
        {
            if (admission.IsRefused)
            {
                LogRefused(exchange.RequestId, key.Name, "rate_limit_exceeded");
                return;
            }

            admission.End(exchange);
        }

        var (input, output) = TokensUsed.Reported(exchange) ?? default;
        usage.Of(key.Name).Admit(input, output);
    }

    private static ErrorAnswer? NotPermitted(Exchange exchange, ClientKey key)
    {
        if (!key.Limits.Permits(exchange.Facts.Model))
        {
            return exchange.Facts.Model is { } model ? NoAccess(key, model)
                : new(StatusCodes.Status403Forbidden, "invalid_request_error", "model_required",
                    $"The key `{key.Name}` may use certain models only, and this request names none.")
                { Param = "model" };
        }

        var barred = default(BackendSet);
        bool anyServes = false, anyPermitted = false;
        for (var index = 0; index < exchange.Pool.Backends.Length; index++)
        {
            var backend = exchange.Pool.Backends[index];
            var serves = backend.Serves(exchange.Facts.Model) && backend.HasAll(exchange.Tags);
            anyServes |= serves;
            if (key.Limits.Permits(backend))
            {
                anyPermitted |= serves;
            }
            else
            {
                barred.Add(index);
            }
        }

        exchange.Barred = barred;

        // Where nobody at all has it, the key is not the reason.
        return !anyServes || anyPermitted ? null
            : exchange.Tags.Length > 0 || exchange.Facts.Model is null
                ? new(StatusCodes.Status403Forbidden, "invalid_request_error", "backend_not_permitted",
                    $"The key `{key.Name}` does not have access to any backend for this request.")
                : NoAccess(key, exchange.Facts.Model);
    }

    /// <summary>As OpenAI answers a project that does not have a model: 403 and the code of a model that is not there.</summary>
    private static ErrorAnswer NoAccess(ClientKey key, string model) =>
        ErrorAnswer.ModelNotFound(model) with
        {
            Status = StatusCodes.Status403Forbidden,
            Message = $"The key `{key.Name}` does not have access to model `{(model.Length <= 128 ? model : model[..127] + "…")}`.",
        };
}
