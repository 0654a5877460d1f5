using System.IO.Enumeration;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Options;

namespace Roadbalancer.Admin;

/// <summary>
/// Which hosts a URL that comes by the API may have: those of <c>allowed_backend_hosts</c>, and never a link-local or metadata address (they give a cloud
/// machine's credentials to whoever can make it ask) unless that list names the very host.
/// </summary>
/// <remarks>A name is resolved here once. What it points to later is for the resolver's owner to guard: backends are connected to by name for as long as they are used.</remarks>
internal sealed class HostRules(TimeProvider time)
{
    private static readonly TimeSpan LongestLookup = TimeSpan.FromSeconds(2);

    private static readonly IPAddress[] Metadata =
        [IPAddress.Parse("169.254.169.254"), IPAddress.Parse("100.100.100.200"), IPAddress.Parse("168.63.129.16"), IPAddress.Parse("fd00:ec2::254")];

    private static readonly string[] MetadataNames = ["metadata.google.internal", "metadata.goog", "metadata"];

    /// <summary>Null when the backend may be at <paramref name="url"/>, else why not.</summary>
    public async ValueTask<AdminReply?> CheckAsync(Uri url, BalancerOptions options, CancellationToken cancellationToken)
    {
        var host = url.IdnHost.TrimEnd('.').ToLowerInvariant();
        var withPort = $"{host}:{url.Port}";
        if (options.AllowedBackendHosts.Any(pattern => pattern.Equals(host, StringComparison.OrdinalIgnoreCase) || pattern.Equals(withPort, StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }

        if (!options.AllowedBackendHosts.IsEmpty && !options.AllowedBackendHosts.Any(pattern =>
            FileSystemName.MatchesSimpleExpression(pattern, host) || FileSystemName.MatchesSimpleExpression(pattern, withPort)))
        {
            return Refuse($"the host {host} is not in allowed_backend_hosts ({string.Join(", ", options.AllowedBackendHosts)})");
        }

        return MetadataNames.Contains(host) || (await AddressesAsync(host, cancellationToken)).Any(IsForbidden)
            ? Refuse($"the host {host} is a link-local or metadata address; name it in allowed_backend_hosts if it is meant")
            : null;
    }

    /// <summary>Link-local, metadata, or the unspecified address; also where it is written as IPv6.</summary>
    internal static bool IsForbidden(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : Embedded(address) ?? address;
        return plain.IsIPv6LinkLocal || plain.Equals(IPAddress.Any) || plain.Equals(IPAddress.IPv6Any) || Metadata.Contains(plain)
            || (plain.AddressFamily == AddressFamily.InterNetwork && plain.GetAddressBytes() is [169, 254, ..]);
    }

    /// <summary>The IPv4 address behind one of NAT64 (RFC 6052, 64:ff9b::/96) or 6to4 (RFC 3056, 2002::/16); null for any other.</summary>
    private static IPAddress? Embedded(IPAddress address) => address.AddressFamily != AddressFamily.InterNetworkV6 ? null : address.GetAddressBytes() switch
    {
        [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0, .. var last] => new IPAddress(last),
        [0x20, 0x02, var a, var b, var c, var d, ..] => new IPAddress([a, b, c, d]),
        _ => null,
    };

    private static AdminReply Refuse(string problem) =>
        AdminReply.Error(StatusCodes.Status400BadRequest, "host_not_allowed", $"url: {problem}.", "url");

    /// <summary>A name that cannot be resolved now is no reason: the backend may be up later.</summary>
    private async ValueTask<IPAddress[]> AddressesAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var literal))
        {
            return [literal];
        }

        using var timer = new CancellationTokenSource(LongestLookup, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            return await Dns.GetHostAddressesAsync(host, limit.Token);
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return [];
        }
    }
}
