using Microsoft.AspNetCore.Http;

namespace Roadbalancer.Proxy;

/// <summary>The id that a request goes by: the client's own where it sent a usable one (<c>X-Request-Id</c>), else a fresh one.</summary>
internal static class RequestIds
{
    private const int LongestClientId = 128;

    public static string For(HttpContext http)
    {
        var own = http.Request.Headers["X-Request-Id"];
        return own.Count == 1 && own.ToString() is { Length: > 0 and <= LongestClientId } id && IsPlain(id) ? id : "req_" + Guid.CreateVersion7().ToString("N");
    }

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
