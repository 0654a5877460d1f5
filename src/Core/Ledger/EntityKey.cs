using System.Text;

namespace Roadbalancer.Ledger;

/// <summary>How a name becomes an entity's key: keys with <c>/ \ # ? % +</c> are refused or ambiguous on the way, hex digits never.</summary>
internal static class EntityKey
{
    /// <summary>The key of <paramref name="name"/>, whatever its case: lower-case hex of the UTF-8 of the lower-case name.</summary>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    public static string Of(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return Convert.ToHexStringLower(Encoding.UTF8.GetBytes(name.ToLowerInvariant()));
    }

    /// <summary>The lower-case name that <paramref name="key"/> was made of; null when it is no such key.</summary>
    public static string? NameOf(string key)
    {
        try
        {
            return key.Length == 0 ? null : new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(Convert.FromHexString(key));
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException)
        {
            return null;
        }
    }
}
