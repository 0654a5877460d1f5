using System.Net;
using System.Text.Json;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Stats;

public class StatsEndpointTests
{
    [Fact]
    public async Task Get_BeforeAnyRequest_SaysNotApplicable()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);

        var stats = await ReadAsync(host);

        Assert.Equal("round_robin", stats.GetProperty("strategy").GetString());
        Assert.Equal("N/A", stats.GetProperty("success_rate").GetString());
        Assert.Equal(1, stats.GetProperty("total_endpoints").GetInt32());
        Assert.Equal(1, stats.GetProperty("healthy_endpoints").GetInt32());
    }

    [Fact]
    public async Task Get_AfterSuccessesAndAFailure_CountsEachByBackendAndClass()
    {
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([good, bad]);
        for (var request = 0; request < 2; request++)
        {
            using var answer = await host.ChatAsync();
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        var stats = await ReadAsync(host);
        var endpoints = stats.GetProperty("endpoints").EnumerateArray().ToArray();

        Assert.Equal(2, stats.GetProperty("total_success").GetInt64());
        Assert.Equal(1, stats.GetProperty("total_failures").GetInt64());
        Assert.Equal("66.67%", stats.GetProperty("success_rate").GetString());
        Assert.Equal(1, endpoints[1].GetProperty("outcomes").GetProperty("server_error").GetInt64());
        Assert.Equal(2 * ScriptedChat.PromptTokens, endpoints[0].GetProperty("input_tokens").GetInt64());
        Assert.True(endpoints[0].GetProperty("response_time_ms").GetProperty("p99").GetDouble() > 0);
    }

    [Fact]
    public async Task Get_WithClientKeys_AsksForOne()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with { ClientKeys = [new ClientKey("team", "k-secret")] });

        using var without = await host.Http.GetAsync("/stats", TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/stats");
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer k-secret");
        using var with = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, without.StatusCode);
        Assert.Equal(HttpStatusCode.OK, with.StatusCode);
        Assert.DoesNotContain("k-secret", await with.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static async Task<JsonElement> ReadAsync(BalancerHost host) =>
        JsonDocument.Parse(await host.Http.GetStringAsync("/stats", TestContext.Current.CancellationToken)).RootElement;
}
