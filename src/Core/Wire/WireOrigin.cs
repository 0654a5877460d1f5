namespace Roadbalancer.Wire;

/// <summary>Where connections go: scheme, host and port of a backend's base URL.</summary>
internal sealed class WireOrigin : IEquatable<WireOrigin>
{
    private readonly int _hash;

    public WireOrigin(Uri url)
    {
        IsSecure = url.Scheme == Uri.UriSchemeHttps;
        Host = url.IdnHost.ToLowerInvariant();
        Port = url.Port;
        _hash = HashCode.Combine(IsSecure, Host, Port);
    }

    /// <summary>Over TLS.</summary>
    public bool IsSecure { get; }

    /// <summary>A name in ASCII, or an address without brackets.</summary>
    public string Host { get; }

    public int Port { get; }

    public bool Equals(WireOrigin? other) =>
        ReferenceEquals(this, other) || (other is not null && _hash == other._hash && IsSecure == other.IsSecure && Port == other.Port && Host == other.Host);

    public override bool Equals(object? obj) => Equals(obj as WireOrigin);

    public override int GetHashCode() => _hash;
}
