using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace Roadbalancer.Options;

/// <summary>The addresses to listen on.</summary>
internal static class Listening
{
    /// <summary>Set by the Azure Functions host for the program that it starts.</summary>
    public const string FunctionsPort = "FUNCTIONS_CUSTOMHANDLER_PORT";

    private const string HostRule = "must be an IP address, localhost, or * for every address";
    private const string UrlRule = "must be like http://127.0.0.1:5000, several separated by ;";

    /// <summary>A host as it stands in a URL. Other names are refused: the server would take them for «every address».</summary>
    public static string? Host(SettingReader value)
    {
        if (value.Text() is not { } text)
        {
            return null;
        }

        if (Canonical(text) is { } host)
        {
            return host;
        }

        value.Refuse(HostRule);
        return null;
    }

    /// <summary>
    /// The listening addresses: under the Functions host its port on loopback and nothing else, whatever was configured;
    /// else <paramref name="urls"/>; else <paramref name="draft"/>'s host and port.
    /// </summary>
    public static ImmutableArray<string> Urls(string? urls, OptionsDraft draft, Binding binding)
    {
        if (binding.TryVariable(FunctionsPort, out var port))
        {
            return Families.Reader(FunctionsPort, port, binding).Whole(1, 65_535) is { } number ? [$"http://127.0.0.1:{number}"] : [];
        }

        if (binding.Has("ASPNETCORE_URLS"))
        {
            binding.Warn("ignored: ASPNETCORE_URLS; use HOST, PORT or --urls");
        }

        if (urls is not null)
        {
            return Parse(new(SettingNode.Scalar(urls), "--urls", null, binding));
        }

        if (draft is { Host: "localhost", Port: 0 })
        {
            binding.Add(new("port", "'0'", "must be from 1 to 65,535 with localhost; with 127.0.0.1 it may be 0"));
        }

        return [string.Create(CultureInfo.InvariantCulture, $"http://{draft.Host}:{draft.Port}")];
    }

    /// <summary>Whether only this machine can reach <paramref name="url"/>.</summary>
    public static bool IsLoopback(string url) => Uri.TryCreate(url.Replace("://*", "://0.0.0.0", StringComparison.Ordinal), UriKind.Absolute, out var uri) && uri.IsLoopback;

    private static ImmutableArray<string> Parse(SettingReader value)
    {
        var found = ImmutableArray.CreateBuilder<string>();
        foreach (var part in value.Node.Text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (One(part) is { } url)
            {
                found.Add(url);
            }
            else
            {
                (value with { Node = SettingNode.Scalar(part) }).Refuse($"{UrlRule}; the host {HostRule}");
            }
        }

        if (found.Count == 0 && value.Node.Text.Trim(' ', ';').Length == 0)
        {
            value.Refuse(UrlRule);
        }

        return found.ToImmutable();
    }

    private static string? One(string text)
    {
        const string scheme = "http://";
        if (!text.StartsWith(scheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var authority = text[scheme.Length..].TrimEnd('/');
        var colon = authority.LastIndexOf(':');
        var hasPort = colon > 0 && colon > authority.LastIndexOf(']');
        var port = 80;
        if (hasPort && (!int.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > 65_535))
        {
            return null;
        }

        var host = Canonical(hasPort ? authority[..colon] : authority);
        return host is null || (host == "localhost" && port == 0) ? null : $"{scheme}{host}:{port}";
    }

    private static string? Canonical(string host)
    {
        if (host is "*" or "+")
        {
            return "*";
        }

        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            return "localhost";
        }

        // IPAddress takes numbers like «5» for 0.0.0.5; nobody means that.
        var bare = host.StartsWith('[') && host.EndsWith(']') ? host[1..^1] : host;
        if (!IPAddress.TryParse(bare, out var address) || (!bare.Contains(':', StringComparison.Ordinal) && bare.Count(letter => letter == '.') != 3))
        {
            return null;
        }

        return address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
    }
}
