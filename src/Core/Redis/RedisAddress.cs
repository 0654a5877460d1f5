using System.Globalization;
using System.Net;
using StackExchange.Redis;

namespace Roadbalancer.Redis;

/// <summary>
/// Where the shared Redis is and how to get in: <c>REDIS_CONNECTION</c>, either in StackExchange.Redis's own form
/// (<c>host:6380,password=…,ssl=true,defaultDatabase=1</c>) or as a URL (<c>redis://:password@host:6379/1</c>, <c>rediss://</c> for TLS).
/// </summary>
internal sealed class RedisAddress
{
    private const int DefaultPort = 6379;

    /// <summary>What the client in use understands; its own parser would name the value of one that it does not.</summary>
    private static readonly HashSet<string> KnownOptions = new(StringComparer.OrdinalIgnoreCase)
    {
        "password", "ssl", "sslHost", "defaultDatabase", "connectTimeout", "connectRetry", "keepAlive", "name", "abortConnect", "syncTimeout",
        "serviceName", "tiebreaker", "configChannel", "version", "proxy", "writeBuffer", "allowAdmin", "resolveDns", "responseTimeout", "configCheckSeconds",
    };

    private readonly ConfigurationOptions _options;

    private RedisAddress(ConfigurationOptions options)
    {
        _options = options;
        Database = options.DefaultDatabase ?? 0;
    }

    /// <summary>The database's number; 0 unless written.</summary>
    public int Database { get; }

    /// <summary>Reads <paramref name="text"/>; null with a reason that is free of secrets when it is not an address.</summary>
    public static RedisAddress? Parse(string text, out string problem)
    {
        text = text.Trim();
        var isUrl = text.Contains("://", StringComparison.Ordinal);
        var options = isUrl ? FromUrl(text, out problem) : FromOptions(text, out problem);
        return options is null ? null : new RedisAddress(options);
    }

    /// <summary>A copy for one connection. A missing server is an error to the caller, who tries again: so the reason is known.</summary>
    public ConfigurationOptions ToOptions()
    {
        var options = _options.Clone();
        options.AbortOnConnectFail = true;
        options.ConnectRetry = 1;
        options.ConnectTimeout = Math.Min(options.ConnectTimeout, 2_000);
        options.ReconnectRetryPolicy = new LinearRetry(500);

        // A replica that was promoted is to be noticed soon.
        options.ConfigCheckSeconds = Math.Min(options.ConfigCheckSeconds, 2);
        options.ClientName ??= "roadbalancer";
        return options;
    }

    /// <summary>Host, port, database and whether it is TLS; never the password.</summary>
    public override string ToString() =>
        (_options.Ssl ? "rediss://" : "redis://") + string.Join(',', _options.EndPoints.Select(NameOf)) + (Database == 0 ? "" : $"/{Database}");

    private static string NameOf(EndPoint endPoint) => endPoint switch
    {
        DnsEndPoint dns => $"{dns.Host}:{dns.Port}",
        IPEndPoint ip => ip.ToString(),
        _ => endPoint.ToString() ?? "?",
    };

    private static ConfigurationOptions? FromUrl(string text, out string problem)
    {
        problem = "must be redis://[:password@]host[:port][/database], or rediss:// for TLS";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("redis" or "rediss") || url.Host.Length == 0)
        {
            return null;
        }

        var path = url.AbsolutePath.Trim('/');
        var database = 0;
        if (path.Length > 0 && !(int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out database) && database <= 10_000))
        {
            problem = "must name the database by a number after the host, as in redis://host:6379/1";
            return null;
        }

        if (url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            problem = "must not have a query; a '?' or '#' in the password is written %3F or %23";
            return null;
        }

        var credentials = url.UserInfo.Split(':', 2);
        var password = Uri.UnescapeDataString(credentials[^1]);
        if (credentials is [not ("" or "default"), _])
        {
            problem = "must not name a user: the Redis client in use knows only the default user's password";
            return null;
        }

        var host = url.HostNameType == UriHostNameType.IPv6 ? url.Host.Trim('[', ']') : url.Host;
        var options = new ConfigurationOptions { Ssl = url.Scheme == "rediss", DefaultDatabase = database, Password = password.Length == 0 ? null : password };
        options.EndPoints.Add(host, url.Port > 0 ? url.Port : DefaultPort);
        return options;
    }

    private static ConfigurationOptions? FromOptions(string text, out string problem)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        problem = "must name a host: host:6379,password=…,ssl=true or redis://:password@host:6379/0";
        if (!Array.Exists(parts, part => !part.Contains('=', StringComparison.Ordinal)))
        {
            return null;
        }

        foreach (var part in parts)
        {
            var key = part.Split('=', 2)[0].Trim();
            if (!part.Contains('=', StringComparison.Ordinal))
            {
                continue;
            }

            if (!KnownOptions.Contains(key))
            {
                problem = IsName(key)
                    ? $"has an option that is not known: {key}"
                    : "has an option that is not known; a password with a comma is written as a URL, redis://:p%2Cw@host";
                return null;
            }

            if (TryParse("localhost," + part) is null)
            {
                problem = $"has an option with a value that is not allowed: {key}";
                return null;
            }
        }

        var options = TryParse(text);
        options?.SetDefaultPorts();
        return options;
    }

    /// <summary>Only what looks like an option's name is shown: the rest may be half of a password.</summary>
    private static bool IsName(string key) => key.Length is > 0 and <= 24 && key.All(char.IsAsciiLetter);

    private static ConfigurationOptions? TryParse(string text)
    {
        try
        {
            return ConfigurationOptions.Parse(text, ignoreUnknown: false);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException)
        {
            return null;
        }
    }
}
