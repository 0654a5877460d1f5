using System.Text;
using System.Text.Json;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

/// <summary>A call as the real Functions host sent it (<c>captures/</c>): method, path, headers and body to the byte.</summary>
internal sealed record Capture(string Method, string Path, IReadOnlyList<KeyValuePair<string, string>> Headers, string Body)
{
    /// <summary>Of one connection, or written by the client that sends the call again.</summary>
    private static readonly string[] OfTheConnection = ["Host", "Transfer-Encoding", "Content-Length", "Content-Type"];

    public static string Folder { get; } = Repository.PathOf("tests", "Functions", "captures");

    public static Capture Read(string name)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(System.IO.Path.Combine(Folder, name + ".json")));
        var root = json.RootElement;
        return new(
            root.GetProperty("method").GetString()!, root.GetProperty("path").GetString()!,
            [.. root.GetProperty("headers").EnumerateObject().Select(header => KeyValuePair.Create(header.Name, header.Value.GetString()!))],
            root.GetProperty("body").GetString()!);
    }

    /// <summary>The captures whose name begins with <paramref name="prefix"/>.</summary>
    public static TheoryData<string> Names(string prefix) =>
        [.. Directory.GetFiles(Folder, prefix + "*.json").Select(path => System.IO.Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)];

    /// <summary>The same call once more, to <paramref name="path"/> where that is given; chunked, as the host sends.</summary>
    public HttpRequestMessage ToRequest(string? path = null, string? body = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Parse(Method), path ?? Path);
        if (Method == "POST")
        {
            request.Content = new StringContent(body ?? Body, Encoding.UTF8, "application/json");
            request.Headers.TransferEncodingChunked = true;
        }

        foreach (var (name, value) in Headers.Where(header => !OfTheConnection.Contains(header.Key)))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }
}
