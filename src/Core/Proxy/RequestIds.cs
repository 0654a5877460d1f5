using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>The id that a request goes by: the client's own where it sent a usable one (<c>X-Request-Id</c>), else a fresh one.</summary>
internal static class RequestIds
{
    public const string Header = "X-Request-Id";

    private const int LongestClientId = 128;

    /// <summary>What sets this process's ids apart from every other's.</summary>
    private static readonly string Prefix = "req_" + Guid.NewGuid().ToString("N")[..16];

    private static ulong _last = BitConverter.ToUInt64(Guid.NewGuid().ToByteArray()) >> 1;

    public static string For(HttpContext http)
    {
        var own = http.Request.Headers[Header];
        return own.Count == 1 && own.ToString() is { Length: > 0 and <= LongestClientId } id && IsPlain(id) ? id : Fresh();
    }

    /// <summary>Counted, not drawn: a draw asks the system for its bits, which costs as much as receiving a request.</summary>
    private static string Fresh() => string.Create(Prefix.Length + 16, Interlocked.Increment(ref _last), static (id, number) =>
    {
        Prefix.CopyTo(id);
        number.TryFormat(id[Prefix.Length..], out _, "x16");
    });

    private static bool IsPlain(string id)
    {
        foreach (var letter in id)
        {
            if (!char.IsAsciiLetterOrDigit(letter) && letter is not ('-' or '_' or '.' or ':'))
            {
                return false;
            }
        }

        return true;
    }
}
