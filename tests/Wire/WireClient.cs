using System.Buffers;
using System.Text;
using Roadbalancer.Tests.Support;
using Roadbalancer.Wire;

namespace Roadbalancer.Tests.Wire;

/// <summary>Requests over a <see cref="WirePool"/> of a test's own.</summary>
internal sealed class WireClient(TimeProvider? time = null) : IDisposable
{
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(20);

    private readonly WirePool _pool = new(time ?? TimeProvider.System);

    private static CancellationToken OfTheTest => TestContext.Current.CancellationToken;

    /// <summary>Sends a POST of <paramref name="body"/>, or a request without one by another method.</summary>
    public Task<WireResponse> SendAsync(Uri url, byte[]? body = null, string method = "POST", CancellationTokenSource? cancellation = null)
    {
        var request = new WireRequest(method, url.PathAndQuery, url.Authority);
        request.End(new ReadOnlySequence<byte>(body ?? []), hasBody: method == "POST");
        return _pool.SendAsync(request, new WireOrigin(url), ConnectTimeout, cancellation?.Token ?? OfTheTest).AsTask();
    }

    /// <summary>A whole exchange: status and body.</summary>
    public async Task<(int Status, string Text)> AskAsync(Uri url, string body = "", string method = "POST")
    {
        using var response = await Await.For(SendAsync(url, Encoding.Latin1.GetBytes(body), method), "an answer");
        return (response.Head.Status, Encoding.Latin1.GetString(await ReadAsync(response)));
    }

    /// <summary>All of the body that is still to come.</summary>
    public static async Task<byte[]> ReadAsync(WireResponse response, int room = 16 * 1024)
    {
        using var body = new MemoryStream();
        var buffer = new byte[room];
        int read;
        while ((read = await Await.For(response.Body.ReadAsync(buffer, OfTheTest).AsTask(), "more of the body", TimeSpan.FromSeconds(30))) > 0)
        {
            body.Write(buffer, 0, read);
        }

        Assert.True(response.Body.IsOver);
        Assert.Equal(0, await response.Body.ReadAsync(buffer, OfTheTest));
        return body.ToArray();
    }

    public void Dispose() => _pool.Dispose();
}
