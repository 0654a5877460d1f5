using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.Admin;

/// <summary>
/// Who may manage: holders of an admin key. Without any, callers on this machine, and nobody under the Functions host, which makes everyone look local.
/// </summary>
/// <remarks>«On this machine» is more than a loopback address: <see cref="LocalCaller"/> tells why.</remarks>
internal sealed class AdminAccess(PoolSource pools)
{
    private const string Loopback = "loopback";

    /// <summary>The caller's name, or why it is refused.</summary>
    public (string By, AdminReply? Refusal) Check(HttpContext http)
    {
        var pool = pools.Current;
        if (pool.AdminKeys.IsOpen)
        {
            return (Loopback, WithoutKeys(http, pool.Options.BehindFunctionsHost));
        }

        var presented = Presented(http.Request);
        if (pool.AdminKeys.Find(presented) is { } name)
        {
            return (name, null);
        }

        return ("", pool.Keys.Find(presented) is { } client
            ? AdminReply.Error(StatusCodes.Status403Forbidden, "not_an_admin_key", $"The key '{client}' is a client's; this needs one of ROADBALANCER_ADMIN_KEYS that is no client's.")
            : AdminReply.Error(StatusCodes.Status401Unauthorized, "invalid_api_key",
                "Incorrect or missing key: send one of ROADBALANCER_ADMIN_KEYS as 'X-API-Key: KEY' or 'Authorization: Bearer KEY'.") with
            {
                Header = ("WWW-Authenticate", "Bearer"),
            });
    }

    /// <summary>The key in <c>X-API-Key</c>, else in <c>Authorization: Bearer</c>; empty for none.</summary>
    public static string Presented(HttpRequest request)
    {
        var own = request.Headers["X-API-Key"].ToString();
        var header = request.Headers.Authorization.ToString();
        return own.Length > 0 ? own.Trim() : header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? header[7..].Trim() : "";
    }

    private static AdminReply? WithoutKeys(HttpContext http, bool behindFunctionsHost)
    {
        if (behindFunctionsHost)
        {
            return KeysRequired("Under the Azure Functions host the management API needs admin keys: set ROADBALANCER_ADMIN_KEYS.");
        }

        if (!LocalCaller.Is(http))
        {
            return KeysRequired("Without admin keys the management API answers on this machine only: set ROADBALANCER_ADMIN_KEYS to use it from elsewhere, or through a proxy.");
        }

        return LocalCaller.IsOwn(http.Request) ? null : AdminReply.Error(StatusCodes.Status403Forbidden, "cross_origin",
            "Without admin keys the management API answers at localhost and to its own pages only: set ROADBALANCER_ADMIN_KEYS to use another name or page.");
    }

    private static AdminReply KeysRequired(string message) => AdminReply.Error(StatusCodes.Status403Forbidden, "admin_keys_required", message);
}
