using System.Runtime.CompilerServices;
using System.Text;
using Roadbalancer.Backends;
using Roadbalancer.Wire;

namespace Roadbalancer.Proxy;

/// <summary>What every request to one backend has in common, made once: parsing an address costs more than sending a request over it.</summary>
internal sealed class BackendRoute
{
    private static readonly ConditionalWeakTable<Backend, BackendRoute> _routes = [];

    private readonly Backend _backend;
    private readonly string _base;
    private readonly byte[] _ownLines;
    private readonly string?[] _known = new string?[Enum.GetValues<ApiShape>().Length];

    private BackendRoute(Backend backend)
    {
        _backend = backend;
        _base = backend.BaseUrl.AbsoluteUri.TrimEnd('/') + "/";
        _ownLines = Encoding.Latin1.GetBytes(LinesOf(backend));
        Origin = new WireOrigin(backend.BaseUrl);
        Host = HostOf(backend.BaseUrl);
    }

    /// <summary>Where connections to it go.</summary>
    public WireOrigin Origin { get; }

    /// <summary>The value of <c>Host</c>.</summary>
    public string Host { get; }

    /// <summary>The backend's credential and <see cref="Backend.Headers"/>, written as header lines.</summary>
    public ReadOnlySpan<byte> OwnLines => _ownLines;

    public static BackendRoute Of(Backend backend) => _routes.GetValue(backend, static backend => new BackendRoute(backend));

    /// <summary>Whether <see cref="Backend.Headers"/> say what this header is.</summary>
    public bool Sets(string name)
    {
        foreach (var header in _backend.Headers)
        {
            if (header.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Path and query, escaped, of a request to <paramref name="path"/>.</summary>
    /// <param name="path">What follows <c>/v1/</c>.</param>
    /// <param name="shape">The API that the path belongs to.</param>
    /// <param name="query">The client's; see <see cref="HeaderRules.StripQuery"/>.</param>
    public string TargetOf(string path, ApiShape shape, string? query)
    {
        if (shape == ApiShape.Other || !string.IsNullOrEmpty(query))
        {
            return Build(path, query);
        }

        // Two requests at once may both make it: they make the same.
        return _known[(int)shape] ??= Build(path, query);
    }

    private string Build(string path, string? query) =>
        new Uri(new StringBuilder(160).Append(_base).Append(path).Append(HeaderRules.StripQuery(query, _backend.Query)).ToString()).PathAndQuery;

    private static string HostOf(Uri url)
    {
        var name = url.HostNameType == UriHostNameType.IPv6 ? url.Host : url.IdnHost;
        return url.IsDefaultPort ? name : $"{name}:{url.Port}";
    }

    private static string LinesOf(Backend backend)
    {
        var lines = new StringBuilder();
        var (name, value) = backend switch
        {
            { ApiKey: { } key, Auth: BackendAuth.Bearer } => ("Authorization", "Bearer " + key),
            { ApiKey: { } key, Auth: BackendAuth.ApiKey } => ("api-key", key),
            _ => ("", ""),
        };
        if (name.Length > 0 && !backend.Headers.Any(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)))
        {
            lines.Append($"{name}: {value}\r\n");
        }

        foreach (var header in backend.Headers)
        {
            lines.Append($"{header.Key}: {header.Value}\r\n");
        }

        return lines.ToString();
    }
}
