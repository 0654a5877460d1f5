using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Client;

/// <summary>Balancers in different places over one Redis.</summary>
public sealed class SharedStateTests
{
    [Fact]
    public async Task Chat_TwoBalancersOverOneRedis_CountTogether()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var a = ScriptedUpstream.Start(Scripts.Chat("from a"));
        await using var b = ScriptedUpstream.Start(Scripts.Chat("from b"));
        var cancel = TestContext.Current.CancellationToken;
        var config = Path.Combine(Path.GetTempPath(), $"roadbalancer-{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(config, $$"""
            redis_connection: "{{redis.Connection}}"
            health_check: {enabled: false}
            endpoints: [{name: a, url: "{{a.BaseUrl}}"}, {name: b, url: "{{b.BaseUrl}}"}]
            """, cancel);
        try
        {
            await using var first = LoadBalancer.FromConfig(config);
            await using var second = LoadBalancer.FromConfig(config);
            for (var round = 0; round < 10; round++)
            {
                var answers = new[] { await first.ChatAsync([new("user", "hi")], cancellationToken: cancel), await second.ChatAsync([new("user", "hi")], cancellationToken: cancel) };
                Assert.All(answers, answer => Assert.True(answer.Success, answer.Error));
            }

            await Await.Until(() => first.GetStats().TotalSuccess == 20 && second.GetStats().TotalSuccess == 20, "both have counted all twenty");
        }
        finally
        {
            File.Delete(config);
        }
    }
}
