using System.Text;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class LargeBodyTests
{
    /// <summary>The thread that read it watches other sockets, too.</summary>
    [Theory]
    [InlineData(1024, 0)]
    [InlineData(1024 * 1024, 1)]
    public async Task HandleAsync_BodyOfThatSize_IsReadThroughElsewhereIfLarge(int size, int handedOver)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var host = await BalancerHost.StartAsync([upstream]);
        var proxy = host.Service<ProxyEndpoint>();
        var body = Encoding.UTF8.GetBytes("{\"model\":\"" + new string('m', size));
        var http = new DefaultHttpContext
        {
            Request = { Method = "POST", Path = "/v1/chat/completions", ContentType = "application/json", ContentLength = body.Length, Body = new MemoryStream(body) },
            Response = { Body = new MemoryStream() },
        };

        var held = new HeldContext();
        var handling = held.Begin(() => proxy.HandleAsync(http));

        Assert.Equal((handedOver, handedOver == 0), (held.Count, handling.IsCompleted));
        await Await.Until(
            () =>
            {
                held.Run();
                return handling.IsCompleted;
            },
            "the answer is there");
        await handling;
        Assert.Equal(400, http.Response.StatusCode);
    }
}
