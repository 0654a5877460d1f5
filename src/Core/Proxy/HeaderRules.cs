using System.Buffers;
using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;
using Roadbalancer.Backends;

namespace Roadbalancer.Proxy;

/// <summary>Which headers and query parameters cross the balancer, in either direction.</summary>
internal static class HeaderRules
{
    /// <summary>Of one connection only: RFC 9110 §7.6.1, with the older names that are still met.</summary>
    private static readonly string[] _hopByHop =
    [
        "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
    ];

    private static readonly SearchValues<char> _controls =
        SearchValues.Create([.. Enumerable.Range(0, ' ').Where(code => code != '\t').Append(0x7F).Select(code => (char)code)]);

    private static readonly FrozenSet<string> _credentials =
        FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "Authorization", "api-key", "x-api-key");

    private static readonly FrozenSet<string> _keptFromBackends = new[]
    {
        // Set anew for the backend, from what is sent to it.
        "Host", "Content-Length", "Expect", "Accept-Encoding",

        // Secrets: the client's with us, and those of the platform in front of us.
        "Authorization", "api-key", "x-api-key", "Cookie", "x-functions-key", "X-ARR-ClientCert",

        // Meant for us.
        "X-Backend-Tags", "X-Debug-Routing", "x-ms-invocation-id",
    }.Concat(_hopByHop).ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>The <c>X-MS-*</c> ones hold the signed-in user's tokens when the platform authenticates.</summary>
    private static readonly string[] _prefixesKeptFromBackends =
        ["Proxy-", "X-Azure-Functions-", "X-MS-TOKEN-", "X-MS-CLIENT-PRINCIPAL", ":"];

    private static readonly FrozenSet<string> _keptFromClients = new[]
    {
        // Of the backend's own front door; a client would take them for ours.
        "Set-Cookie", "Server", "Alt-Svc", "Strict-Transport-Security", "Proxy-Authenticate", "Proxy-Authentication-Info",

        // Set anew.
        "Content-Length", "X-Backend", "X-Attempts", "X-Request-Id", "X-Backend-Attempts",
    }.Concat(_hopByHop).ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>Whether a client's header may go to a backend. Credentials never pass here: see <see cref="CredentialPasses"/>. What <c>Connection</c> names, neither: see <see cref="IsNamedBy"/>.</summary>
    public static bool PassesToBackend(string name)
    {
        if (name.Length == 0 || _keptFromBackends.Contains(name))
        {
            return false;
        }

        // A glance at the first letter spares nearly every header the comparisons.
        if (name[0] is not ('P' or 'p' or 'X' or 'x' or ':'))
        {
            return true;
        }

        foreach (var prefix in _prefixesKeptFromBackends)
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>
    /// Whether a client's <c>Authorization</c>, <c>api-key</c> or <c>x-api-key</c> may go to <paramref name="backend"/>: only to one that expects
    /// a key and has none of its own, and only while clients do not authenticate with us by these very headers. Cookies never do.
    /// </summary>
    /// <param name="clientsAuthenticate">Whether the balancer has client keys of its own.</param>
    public static bool CredentialPasses(string name, Backend backend, bool clientsAuthenticate) =>
        !clientsAuthenticate && backend.ApiKey is null && backend.Auth != BackendAuth.None && _credentials.Contains(name);

    /// <summary>Whether a backend's header may go to the client. What <c>Connection</c> names does not, either: see <see cref="IsNamedBy"/>.</summary>
    public static bool PassesToClient(string name) => !_keptFromClients.Contains(name);

    /// <summary>Whether the server can write this value: RFC 9110 §5.5 has no control characters but the tab, and a backend that sends one costs its client nothing but the header.</summary>
    public static bool IsWritable(string value) => value.AsSpan().IndexOfAny(_controls) < 0;

    /// <summary>Whether <c>Connection</c> names this header, which makes it one of that connection only (RFC 9110 §7.6.1).</summary>
    /// <param name="connection">The values of <c>Connection</c>, of the same message.</param>
    public static bool IsNamedBy(StringValues connection, string name)
    {
        foreach (var value in connection)
        {
            foreach (var range in value.AsSpan().Split(','))
            {
                if (value.AsSpan(range).Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>
    /// The query for a backend: the client's without <c>code</c> (the Functions key, however the name is escaped) and without what
    /// the backend sets itself, then the backend's own. What passes keeps its order and escaping.
    /// </summary>
    /// <param name="query">The client's, with or without the leading <c>?</c>; may be empty.</param>
    /// <param name="backendQuery"><see cref="Backend.Query"/>.</param>
    /// <returns>With a leading <c>?</c>, or empty.</returns>
    public static string StripQuery(string? query, string backendQuery)
    {
        var rest = query.AsSpan().TrimStart('?');
        if (rest.IsEmpty)
        {
            return backendQuery.Length == 0 ? "" : "?" + backendQuery;
        }

        var kept = new List<string>();
        foreach (var range in rest.Split('&'))
        {
            var parameter = rest[range];
            if (!parameter.IsEmpty && !IsOurs(NameIn(parameter), backendQuery))
            {
                kept.Add(parameter.ToString());
            }
        }

        if (backendQuery.Length > 0)
        {
            kept.Add(backendQuery);
        }

        return kept.Count == 0 ? "" : "?" + string.Join('&', kept);
    }

    private static bool IsOurs(string name, string backendQuery)
    {
        if (name.Equals("code", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        foreach (var range in backendQuery.AsSpan().Split('&'))
        {
            var own = backendQuery.AsSpan(range);
            if (!own.IsEmpty && NameIn(own).Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private static string NameIn(ReadOnlySpan<char> parameter)
    {
        var equals = parameter.IndexOf('=');
        return Uri.UnescapeDataString(equals < 0 ? parameter : parameter[..equals]);
    }
}
