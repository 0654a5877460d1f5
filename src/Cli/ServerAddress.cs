using System.Globalization;

namespace Roadbalancer.Cli;

/// <summary>Where the balancer is looked for.</summary>
internal static class ServerAddress
{
    /// <summary>The first that is there: <paramref name="given"/>, <c>ROADBALANCER_URL</c>, <c>HOST</c> and <c>PORT</c>, <c>http://127.0.0.1:5000</c>; null with a <paramref name="problem"/> when it is no address.</summary>
    public static Uri? Find(string? given, Func<string, string?> variable, out string problem)
    {
        var (text, source) = given is not null ? (given, "--server-url")
            : Set("ROADBALANCER_URL") is { } url ? (url, "ROADBALANCER_URL")
            : (FromHostAndPort(Set("HOST"), Set("PORT")), "HOST and PORT");
        var address = Parse(text.Trim());
        problem = address is null ? $"{source}: '{text}' is not an address; must be like http://127.0.0.1:5000." : "";
        return address;

        string? Set(string name) => variable(name) is { Length: > 0 } value ? value : null;
    }

    private static string FromHostAndPort(string? host, string? port)
    {
        // What a server listens on everywhere is reached from here by the loopback.
        host = host is null or "*" or "+" or "0.0.0.0" or "::" or "[::]" ? "127.0.0.1" : host;
        host = host.Contains(':', StringComparison.Ordinal) && host[0] != '[' ? $"[{host}]" : host;
        return string.Create(CultureInfo.InvariantCulture, $"http://{host}:{(port is null or "0" ? "5000" : port)}");
    }

    private static Uri? Parse(string text)
    {
        if (!text.Contains("://", StringComparison.Ordinal))
        {
            text = "http://" + text;
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.Host.Length == 0
            || uri.UserInfo.Length > 0 || uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            return null;
        }

        // Clients' base URL is what people have at hand.
        var path = uri.AbsolutePath.TrimEnd('/');
        path = path.EndsWith("/v1", StringComparison.Ordinal) && !path.EndsWith("/api/v1", StringComparison.Ordinal) ? path[..^3] : path;
        return new Uri(uri.GetLeftPart(UriPartial.Authority) + path + "/");
    }
}
