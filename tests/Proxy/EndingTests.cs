using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class EndingTests
{
    [Fact]
    public async Task Stream_BrokenAndThenRefusedAsTheCallersFault_IsLoggedAsLost()
    {
        var script = Scripts.Sequence(Scripts.StreamThen(ScriptedChat.Events("one two three").Take(2), connection => connection.ResetAsync()), Scripts.Status(400));
        await using var a = ScriptedUpstream.Start(script);
        await using var b = ScriptedUpstream.Start(script);
        await using var host = await BalancerHost.StartAsync([a, b]);
        using var response = await host.ChatAsync(stream: true);
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        await Await.Until(() => host.Log.Lines.Any(line => line.StartsWith("Warning", StringComparison.Ordinal)
            && line.Contains("was lost as caller_fault", StringComparison.Ordinal)), "the loss is logged");
    }
}
