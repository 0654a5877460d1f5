using System.IO.Compression;
using System.Net;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Backends' error answers beyond their status: how they come, and which route they answer.</summary>
public sealed class ErrorBodyFaultsTests
{
    private const string Quota = """{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""";

    [Fact]
    public async Task Chat_EncodedError_ItsCodeIsReadAndItsBodyToldDecoded()
    {
        await using var upstream = ScriptedUpstream.Start((_, connection, _) =>
            connection.RespondAsync(429, Gzip(Quota), "application/json", ("Content-Encoding", "gzip")));
        await using var host = await BalancerHost.StartAsync([upstream]);

        using var answer = await host.ChatAsync();

        Assert.Equal(HttpStatusCode.TooManyRequests, answer.StatusCode);
        Assert.Equal(Quota, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var snapshot = await host.ReadAsync();
        Assert.True(snapshot.For("a").Vitals.ParkedUntilMs - snapshot.NowMs > 60_000, "a used-up quota parks for long");
    }

    [Fact]
    public async Task Chat_ErrorBodyBreaksOff_HalfOfItIsNoAnswer()
    {
        await using var upstream = ScriptedUpstream.Start((_, connection, _) => connection.RawAsync(
            Encoding.ASCII.GetBytes("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 800\r\n\r\n{\"error\":{\"mess")));
        await using var host = await BalancerHost.StartAsync([upstream]);

        using var answer = await host.ChatAsync();

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.Contains("bad_backend_answer", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_RouteThatTheKeyHasNoRightFor_TheBackendIsNotBlamed()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.ErrorBody(403, "missing_scope", "You have insufficient permissions."));
        await using var host = await BalancerHost.StartAsync([upstream]);

        using var answer = await host.Http.GetAsync("/v1/organization/users", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("not_permitted", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.False((await host.ReadAsync()).For("a").Vitals.Misconfigured);
    }

    [Fact]
    public async Task Trace_AnyRoute_IsNotPassedOn()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);

        using var answer = await host.Http.SendAsync(new HttpRequestMessage(HttpMethod.Trace, "/v1/models"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
        Assert.Empty(upstream.Requests);
    }

    private static byte[] Gzip(string text)
    {
        using var coded = new MemoryStream();
        using (var coder = new GZipStream(coded, CompressionLevel.Fastest))
        {
            coder.Write(Encoding.UTF8.GetBytes(text));
        }

        return coded.ToArray();
    }
}
