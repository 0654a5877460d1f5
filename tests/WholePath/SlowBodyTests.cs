using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

public sealed class SlowBodyTests
{
    [Fact]
    public async Task Body_ThatTakesLongerThanTheTotalTime_IsRefusedInWords()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        var time = new ManualTime();
        var options = new BalancerOptions { Backends = [new Backend { Name = "a", BaseUrl = upstream.BaseUrl }], HealthCheckEnabled = false, TotalTimeout = TimeSpan.FromSeconds(10) };
        await using var host = await BalancerHost.StartAsync(options, services => services.AddSingleton<TimeProvider>(time));
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", host.Url.Port, TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        var body = BalancerHost.ChatJson();

        await SendAsync($"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n");
        var buffer = new byte[1024];
        var read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
        Assert.Contains("100 Continue", Encoding.ASCII.GetString(buffer, 0, read), StringComparison.Ordinal);

        // The server asks for the body when the endpoint begins to read it: its clock runs by then.
        time.Advance(TimeSpan.FromSeconds(11));
        await SendAsync(body);
        using var reader = new StreamReader(stream);
        var answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        Assert.Contains("request_too_slow", answer, StringComparison.Ordinal);
        Assert.Empty(upstream.Requests);

        Task SendAsync(string text) => stream.WriteAsync(Encoding.ASCII.GetBytes(text), TestContext.Current.CancellationToken).AsTask();
    }
}
