using Microsoft.AspNetCore.Http;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Proxy;

namespace Roadbalancer.Stats;

/// <summary>
/// Who may read what has been counted, at <c>/stats</c> and <c>/metrics</c> alike: those who hold a client key or an admin key; without client keys,
/// callers on this machine that come without anything in between, by one of its own names and from no other site's page.
/// </summary>
internal sealed class ReadingRight(KeyGate gate)
{
    /// <summary>The answer to a caller who may not; null for one who may.</summary>
    /// <param name="http">The request.</param>
    /// <param name="pool">Has the keys.</param>
    /// <param name="key">The client key that was presented; null where the caller may read without one.</param>
    public ErrorAnswer? Refuse(HttpContext http, Pool pool, out ClientKey? key)
    {
        key = null;
        if (pool.AdminKeys.Find(AdminAccess.Presented(http.Request)) is not null)
        {
            return null;
        }

        if (!pool.Keys.IsOpen)
        {
            key = pool.Keys.Match(http.Request);
            return key is null
                ? new(StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key", "Incorrect or missing API key.")
                : gate.Expired(key);
        }

        if (!LocalCaller.Is(http) || pool.Options.BehindFunctionsHost)
        {
            return new(StatusCodes.Status403Forbidden, "invalid_request_error", "no_keys_configured",
                "Statistics are told on this machine only until ROADBALANCER_API_KEYS or ROADBALANCER_ADMIN_KEYS is set.");
        }

        return LocalCaller.IsOwn(http.Request) ? null : new(StatusCodes.Status403Forbidden, "invalid_request_error", "cross_origin",
            "Without keys statistics are told at localhost and to its own pages only: set ROADBALANCER_API_KEYS or ROADBALANCER_ADMIN_KEYS to use another name or page.");
    }
}
