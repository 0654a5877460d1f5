using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>What an answer tells of its way, and to whom.</summary>
public sealed class ExplainedFaultsTests
{
    [Fact]
    public async Task Chat_DebugRouting_CandidatesAndWhyTheOthersWerePassedOver()
    {
        await using var stage = await Stage.ThreeAsync(
            Scripts.Status(429, 100), Scripts.Chat("Hi"), Scripts.Hang, shape: (name, backend) => backend with { Enabled = name != "c" });
        await stage.AskAsync();
        await stage.SettledAsync();

        var heard = await stage.AskAsync(false, ("X-Debug-Routing", "1"));

        Assert.Equal("a (parked), c (disabled), b", heard.Header("X-Routing-Candidates"));
        Assert.Equal("round_robin", heard.Header("X-Routing-Strategy"));
    }

    [Theory]
    [InlineData("ops-key", true)]
    [InlineData("app-key", false)]
    public async Task Chat_DebugRoutingWithKeys_OnlyThoseThatMay(string key, bool may)
    {
        await using var stage = await Stage.AloneAsync(
            Scripts.Chat("Hi"), options => options with { ClientKeys = [new ClientKey("ops", "ops-key"), new ClientKey("app", "app-key")], DebugKeys = ["ops"] });

        var heard = await stage.AskAsync(false, ("X-Debug-Routing", "1"), ("Authorization", "Bearer " + key));

        Assert.Equal(200, heard.Status);
        Assert.Equal(may, heard.Header("X-Routing-Candidates") is not null);
        Assert.Equal("a;answering", heard.Trail);
    }

    [Fact]
    public async Task Chat_NotAskedFor_NothingOfTheRouting()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Chat("Hi"));

        Assert.Null((await stage.AskAsync()).Header("X-Routing-Candidates"));
    }

    [Fact]
    public async Task Chat_Lost_LogLineTellsEachAttempt()
    {
        await using var stage = await Stage.AloneAsync(Scripts.ResetBeforeHeaders);

        await stage.AskAsync();

        await stage.LoggedAsync("was lost as connection_reset");
        Assert.Contains(stage.Balancer.Log.Lines, line => line.Contains(": a;connection_reset;", StringComparison.Ordinal) && line.Contains(", a;connection_reset;", StringComparison.Ordinal));
    }
}
