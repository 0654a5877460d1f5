using System.Buffers;
using System.Collections.Immutable;

namespace Roadbalancer.Options;

/// <summary>The values that end up in HTTP messages: URLs, names, credentials, headers, queries.</summary>
internal sealed partial record SettingReader
{
    private const string Reference = "env:";
    private const string NameRule = "must be 1 to 64 printable ASCII characters without spaces, commas, quotes and slashes";
    private const string UrlRule = "must be like http://host:8000 or https://host/path";

    private static readonly SearchValues<char> TokenLetters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    /// <summary>RFC 9110 section 7.6.1, and what the connection itself decides.</summary>
    private static readonly string[] RefusedHeaders =
    [
        "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Host", "Content-Length",
    ];

    /// <summary>The longest name that a backend or a client key may have.</summary>
    public const int LongestName = 64;

    /// <summary>Whether <paramref name="text"/> can be a backend's name, which travels in headers and comma lists.</summary>
    public static bool IsName(string text) =>
        text.Length is > 0 and <= LongestName && text.AsSpan().IndexOfAnyExceptInRange('!', '~') < 0 && text.AsSpan().IndexOfAny(",\"'/\\") < 0;

    public string? Name()
    {
        if (!IsScalar(NameRule))
        {
            return null;
        }

        if (IsName(Node.Text.Trim()))
        {
            return Node.Text.Trim();
        }

        Refuse(NameRule);
        return null;
    }

    /// <summary>The base URL and its query, without <c>?</c>. A URL without a path gets <c>/v1</c>; any other path stays, less its trailing slashes.</summary>
    public (Uri BaseUrl, string Query)? Url()
    {
        var shown = this with { Node = SettingNode.Scalar(WithoutSecrets(Node.Text), Node.Line) };
        if (!IsScalar(UrlRule))
        {
            return null;
        }

        var text = Node.Text.Trim();
        if (text.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0 && !IsInternational(text) || text.Contains('\\', StringComparison.Ordinal)
            || !HasHttpScheme(text) || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0 || uri.Port < 1)
        {
            shown.Refuse(UrlRule);
            return null;
        }

        if (uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            shown.Refuse(uri.UserInfo.Length > 0 ? "must be without user and password; use api_key or headers" : "must be without a fragment (#)");
            return null;
        }

        var path = uri.AbsolutePath.TrimEnd('/');
        var host = uri.HostNameType == UriHostNameType.Dns ? uri.IdnHost : uri.Host;
        var port = uri.IsDefaultPort ? "" : $":{uri.Port}";
        return (new Uri($"{uri.Scheme}://{host}{port}{(path.Length == 0 ? "/v1" : path)}"), uri.Query.TrimStart('?'));
    }

    /// <summary>A credential or another text that may be one; <c>env:NAME</c> reads a variable.</summary>
    public string? Credential()
    {
        var secret = this with { Secret = true };
        if (!secret.IsScalar("must be a text or env:NAME"))
        {
            return null;
        }

        var text = Node.Text.Trim();
        if (text.StartsWith(Reference, StringComparison.Ordinal))
        {
            var name = text[Reference.Length..].Trim();
            if (!Binding.TryVariable(name, out var value))
            {
                Report(IsVariable(name) ? $"refers to the environment variable {name}, which is not set" : "must be a text or env:NAME; NAME is not the name of a variable");
                return null;
            }

            text = value.Trim();
        }

        if (text.Length is > 0 and <= LongestText && text.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0)
        {
            return text;
        }

        secret.Refuse($"must be 1 to {LongestText} printable ASCII characters");
        return null;
    }

    /// <summary>Headers as a map of name to text.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Headers()
    {
        var headers = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>();
        foreach (var (name, value) in (this with { Secret = true }).Entries("must be a map of header names to texts"))
        {
            if (name.Length == 0 || name.AsSpan().IndexOfAnyExcept(TokenLetters) >= 0)
            {
                value.Report("is not a header name");
            }
            else if (RefusedHeaders.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                value.Report("cannot be set: it belongs to the connection, not to the request");
            }
            else if (headers.Any(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                value.Report("is there twice; the case of a header's name does not matter");
            }
            else if (value.Node.Kind == SettingKind.Null)
            {
                value.Report("must be a text or env:NAME");
            }
            else if (value.Credential() is { } text)
            {
                headers.Add(new(name, text));
            }
        }

        return headers.ToImmutable();
    }

    /// <summary>A query as a map, which is escaped here, or as a text, which is taken as escaped; without <c>?</c>.</summary>
    public string? Query()
    {
        var secret = this with { Secret = true };
        if (Node.Kind == SettingKind.Map)
        {
            var pairs = secret.Entries("").Select(entry => (entry.Key, Value: entry.Value.Node.Kind == SettingKind.Null ? "" : entry.Value.Credential()));
            return string.Join('&', pairs.Where(pair => pair.Value is not null).Select(pair => $"{Uri.EscapeDataString(pair.Key)}={Uri.EscapeDataString(pair.Value!)}"));
        }

        const string rule = "must be a map, or a text like api-version=2024-10-21&name=value";
        if (!secret.IsScalar(rule))
        {
            return null;
        }

        var text = Node.Text.Trim().TrimStart('?');
        if (text.Length <= LongestText && text.AsSpan().IndexOfAnyExceptInRange('!', '~') < 0 && !text.Contains('#', StringComparison.Ordinal))
        {
            return text;
        }

        secret.Refuse(rule);
        return null;
    }

    private static bool HasHttpScheme(string text) =>
        text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    /// <summary>Letters beyond ASCII are for host names; blanks and control characters are for nobody.</summary>
    private static bool IsInternational(string text) => !text.Any(letter => letter is ' ' or '\x7f' || char.IsControl(letter) || char.IsWhiteSpace(letter));

    private static bool IsVariable(string name) =>
        name.Length is > 0 and <= 128 && !char.IsAsciiDigit(name[0]) && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_');

    /// <summary>
    /// A URL as a message may show it. With an <c>@</c> in it only the scheme stays: a password may hold any character, so where it ends
    /// is anybody's guess. A query stays out because keys are sent in it.
    /// </summary>
    private static string WithoutSecrets(string url)
    {
        if (url.Contains('@', StringComparison.Ordinal))
        {
            var scheme = url.IndexOf("://", StringComparison.Ordinal);
            return HasHttpScheme(url.Trim()) && scheme > 0 ? url[..(scheme + 3)] + "***" : "***";
        }

        var query = url.AsSpan().IndexOfAny('?', '#');
        return query < 0 ? url : url[..query] + "?***";
    }
}
