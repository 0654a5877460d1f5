using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Roadbalancer.Tests.Support;

public sealed class ScriptedUpstreamTests : IDisposable
{
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false });

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _client.Dispose();

    [Fact]
    public async Task Chat_PlainRequests_AnsweredOnOneConnectionAndRecorded()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("Hello there"));

        using var first = await PostAsync(upstream, """{"model":"m"}""");
        using var second = await PostAsync(upstream, """{"model":"n"}""");

        Assert.Equal(ScriptedChat.Body("Hello there"), await second.Content.ReadAsStringAsync(Token));
        Assert.Equal(1, upstream.Accepted);
        Assert.Equal(["""{"model":"m"}""", """{"model":"n"}"""], upstream.Requests.Select(request => request.Text));
        var request = upstream.Requests[1];
        Assert.Equal(("POST", "/v1/chat/completions?a=b", "a=b", 1), (request.Method, request.Target, request.Query, request.Order));
        Assert.Equal("application/json; charset=utf-8", request.Header("content-type"));
        Assert.False(request.LeftEarly);
    }

    [Fact]
    public async Task Chat_StreamWithUsage_SendsRoleWordsFinishUsageAndDone()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("Hello there"));

        using var response = await PostAsync(upstream, """{"stream":true,"stream_options":{"include_usage":true}}""");

        var expected = ScriptedChat.Events("Hello there", usage: true).Append("[DONE]").Select(data => $"data: {data}\n\n");
        Assert.Equal(string.Concat(expected), await response.Content.ReadAsStringAsync(Token));
    }

    [Fact]
    public async Task Requests_ChunkedBody_IsRecordedWhole()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Status(200));
        using var request = new HttpRequestMessage(HttpMethod.Post, upstream.BaseUrl) { Content = new StreamContent(new MemoryStream(new byte[70_000])) };
        request.Headers.TransferEncodingChunked = true;

        using var response = await _client.SendAsync(request, Token);

        Assert.Equal(70_000, upstream.Requests[0].Body.Length);
    }

    [Fact]
    public async Task ResetAsync_MidStream_PeerGetsWhatWasSentAndThenConnectionReset()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role()], c => c.ResetAsync()));

        var (text, ending) = await ReadRawAsync(upstream);

        Assert.Contains(ScriptedChat.Role(), text, StringComparison.Ordinal);
        Assert.Equal(SocketError.ConnectionReset, ending);
    }

    [Fact]
    public async Task CloseAsync_MidStream_PeerGetsAFinWithoutFinalChunk()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen([ScriptedChat.Role()], c => c.CloseAsync()));

        var (text, ending) = await ReadRawAsync(upstream);

        Assert.EndsWith("\n\n\r\n", text, StringComparison.Ordinal);
        Assert.Equal(SocketError.Success, ending);
    }

    [Fact]
    public async Task ResetBeforeHeaders_AnyRequest_PeerGetsConnectionReset()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.ResetBeforeHeaders);

        Assert.Equal(("", SocketError.ConnectionReset), await ReadRawAsync(upstream));
    }

    [Fact]
    public async Task ShortBodyAsync_FewerBytesThanAnnounced_ClientSeesAPrematureEnd()
    {
        await using var upstream = ScriptedUpstream.Start((_, connection, _) => connection.ShortBodyAsync(100, "{\"half"));

        var error = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(upstream, "{}"));

        Assert.Equal(HttpRequestError.ResponseEnded, error.HttpRequestError);
    }

    [Fact]
    public async Task HangAsync_ClientLeaves_RequestIsMarkedLeftEarly()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var asking = PostAsync(upstream, "{}", leaving.Token);
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await leaving.CancelAsync();

        await Await.For(upstream.Requests[0].Left, "the upstream to notice");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await Await.Until(() => upstream.Open == 0, "the connection is closed");
    }

    [Fact]
    public async Task Sequence_MoreRequestsThanScripts_LastRepeats()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Sequence(Scripts.Status(503, retryAfter: 3), Scripts.Chat("Hi")));

        using var first = await PostAsync(upstream, "{}");
        using var second = await PostAsync(upstream, "{}");
        using var third = await PostAsync(upstream, "{}");

        Assert.Equal([HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK, HttpStatusCode.OK], [first.StatusCode, second.StatusCode, third.StatusCode]);
        Assert.Equal(TimeSpan.FromSeconds(3), first.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task Probes_GetModels_AreKeptApartFromRequests()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Status(500));

        var models = await _client.GetStringAsync(new Uri($"{upstream.BaseUrl}/models"), Token);

        Assert.Contains("scripted-model", models, StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);
        Assert.Single(upstream.Probes);
    }

    [Fact]
    public async Task KillAsync_HangingRequest_ResetThenRefusedUntilRestart()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        var reading = ReadRawAsync(upstream);
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await upstream.KillAsync();
        var (_, ending) = await reading;
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => PostAsync(upstream, "{}"));
        upstream.Script = Scripts.Chat("Back");
        await upstream.RestartAsync();
        using var response = await PostAsync(upstream, "{}");

        Assert.Equal(SocketError.ConnectionReset, ending);
        Assert.Equal(SocketError.ConnectionRefused, Assert.IsType<SocketException>(refused.InnerException).SocketErrorCode);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task StopAcceptingAsync_OpenConnection_GoesOn()
    {
        var gate = new TaskCompletionSource();
        await using var upstream = ScriptedUpstream.Start(Scripts.After(gate.Task, Scripts.Chat("Late")));
        var asking = PostAsync(upstream, "{}");
        await Await.Until(() => upstream.Requests.Count == 1, "the request has arrived");

        await upstream.StopAcceptingAsync();
        gate.SetResult();

        using var response = await asking;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task ScriptErrors_ScriptThrows_IsKeptAndConnectionReset()
    {
        await using var upstream = ScriptedUpstream.Start((_, _, _) => throw new InvalidOperationException("bug"));

        var (_, ending) = await ReadRawAsync(upstream);

        Assert.Equal(SocketError.ConnectionReset, ending);
        Assert.Equal("bug", Assert.Single(upstream.ScriptErrors).Message);
    }

    [Fact]
    public async Task Until_ConditionNeverHolds_FailsWithWhatItWaitedFor()
    {
        var failure = await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => Await.Until(() => false, "pigs fly", TimeSpan.Zero));

        Assert.Contains("until pigs fly", failure.Message, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> PostAsync(ScriptedUpstream upstream, string json, CancellationToken? cancellationToken = null)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        return await _client.PostAsync(new Uri($"{upstream.BaseUrl}/chat/completions?a=b"), content, cancellationToken ?? Token);
    }

    private static async Task<(string Text, SocketError Ending)> ReadRawAsync(ScriptedUpstream upstream)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, upstream.Port, Token);
        await socket.SendAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"u8.ToArray(), Token);
        return await ReadToEndAsync(socket);
    }

    private static async Task<(string Text, SocketError Ending)> ReadToEndAsync(Socket socket)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (await socket.ReceiveAsync(buffer, Token) is > 0 and var count)
            {
                text.Append(Encoding.UTF8.GetString(buffer, 0, count));
            }

            return (text.ToString(), SocketError.Success);
        }
        catch (SocketException exception)
        {
            return (text.ToString(), exception.SocketErrorCode);
        }
    }
}
