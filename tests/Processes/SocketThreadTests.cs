using System.Net;
using System.Net.Sockets;
using System.Text;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Processes;

/// <summary>
/// The program with one single thread for all of its sockets: continuations run on it (docs/adr/0007-fast-path.md), so whatever blocked there would
/// keep every other request waiting. Here everything that can hang, hangs, and the others are answered.
/// </summary>
public sealed class SocketThreadTests
{
    [Fact]
    public async Task OneThread_WhileOthersHang_AnswersEveryRequest()
    {
        await using var quick = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var silent = ScriptedUpstream.Start(Scripts.Hang);
        await using var flood = ScriptedUpstream.Start(FloodAsync);
        await using var program = await ProgramProcess.Start("", $$"""
            health_check: {enabled: false}
            endpoints:
              - {name: quick, url: '{{quick.BaseUrl}}', models: [quick]}
              - {name: silent, url: '{{silent.BaseUrl}}', models: [silent]}
              - {name: flood, url: '{{flood.BaseUrl}}', models: [flood]}
              - {name: nowhere, url: 'http://192.0.2.1:9', models: [nowhere], connect_timeout: 60}
            """, ("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT", "1"), ("DOTNET_PROCESSOR_COUNT", "1")).ListenAsync();
        var url = program.Http.BaseAddress!;
        using var waits = await SendAsync(url, Request("silent"));
        using var connects = await SendAsync(url, Request("nowhere"));
        using var doesNotRead = await SendAsync(url, Request("flood", stream: true));
        using var doesNotEnd = await SendAsync(url, Request("quick")[..^10]);
        using var hasHalfAHead = await SendAsync(url, "POST /v1/chat/completions HTTP/1.1\r\nHos");
        await Await.Until(() => silent.Requests.Count == 1 && flood.Requests.Count == 1, "those that hang have begun");

        for (var request = 0; request < 50; request++)
        {
            using var content = new StringContent(Body("quick"), Encoding.UTF8, "application/json");
            using var answer = await program.Http.PostAsync("v1/chat/completions", content, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal((1, 50), (silent.Requests.Count, quick.Requests.Count));
    }

    /// <summary>More than sockets and buffers hold, so that the proxy has to wait for a client that does not read.</summary>
    private static async Task FloodAsync(UpstreamRequest request, UpstreamConnection connection, CancellationToken gone)
    {
        var words = ScriptedChat.Content(new string('x', 16 * 1024));
        await connection.BeginStreamAsync();
        while (!gone.IsCancellationRequested)
        {
            await connection.EventAsync(words);
        }
    }

    private static async Task<Socket> SendAsync(Uri url, string request)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, url.Port, TestContext.Current.CancellationToken);
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        return socket;
    }

    private static string Request(string model, bool stream = false) =>
        $"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {Body(model, stream).Length}\r\n\r\n{Body(model, stream)}";

    private static string Body(string model, bool stream = false) =>
        $$"""{"model":"{{model}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"Hi"}]}""";
}
