using System.Runtime.CompilerServices;
using System.Text;
using Roadbalancer.Backends;

namespace Roadbalancer.Proxy;

/// <summary>What every request to one backend has in common, made once: parsing an address costs more than sending a request over it.</summary>
internal sealed class BackendRoute
{
    private static readonly ConditionalWeakTable<Backend, BackendRoute> _routes = [];

    private readonly Backend _backend;
    private readonly string _base;
    private readonly Uri?[] _known = new Uri?[Enum.GetValues<ApiShape>().Length];

    private BackendRoute(Backend backend)
    {
        _backend = backend;
        _base = backend.BaseUrl.AbsoluteUri.TrimEnd('/') + "/";
        Authorization = backend is { ApiKey: { } key, Auth: BackendAuth.Bearer } ? "Bearer " + key : null;
    }

    /// <summary>The value of <c>Authorization</c>; null when the backend's key does not go there.</summary>
    public string? Authorization { get; }

    public static BackendRoute Of(Backend backend) => _routes.GetValue(backend, static backend => new BackendRoute(backend));

    /// <summary>Where a request to <paramref name="path"/> goes.</summary>
    /// <param name="path">What follows <c>/v1/</c>.</param>
    /// <param name="shape">The API that the path belongs to.</param>
    /// <param name="query">The client's; see <see cref="HeaderRules.StripQuery"/>.</param>
    public Uri UriFor(string path, ApiShape shape, string? query)
    {
        if (shape == ApiShape.Other || !string.IsNullOrEmpty(query))
        {
            return Build(path, query);
        }

        // Two requests at once may both make it: they make the same.
        return _known[(int)shape] ??= Build(path, query);
    }

    private Uri Build(string path, string? query) =>
        new(new StringBuilder(160).Append(_base).Append(path).Append(HeaderRules.StripQuery(query, _backend.Query)).ToString());
}

/// <summary>A request on its way to a backend, which the connection that is opened for it asks for.</summary>
internal sealed class BackendRequest(HttpMethod method, Uri uri, Backend backend) : HttpRequestMessage(method, uri)
{
    public Backend Backend { get; } = backend;
}
