using Roadbalancer.Health;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Circuits as live requests move them: opened, tried once, closed, eased back in; and panic when all are out.</summary>
public sealed class CircuitFaultsTests
{
    [Fact]
    public async Task Chat_ThresholdOfFailures_CircuitOpensAndNobodyIsSentThere()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat("Hi"), LongCooldown);

        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(200, (await stage.AskAsync()).Status);
        }

        Assert.Equal(3, stage.A.Requests.Count);
        Assert.Equal(CircuitState.Open, (await stage.SettledAsync("a")).Vitals.Circuit);
    }

    [Theory]
    [InlineData(400, "invalid_value")]
    [InlineData(400, "content_filter")]
    [InlineData(400, "context_length_exceeded")]
    public async Task Chat_CallersFaults_LeaveTheCircuitAlone(int status, string code)
    {
        await using var stage = await Stage.AloneAsync(Scripts.ErrorBody(status, code, "Not like this."));

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(status, (await stage.AskAsync()).Status);
        }

        Assert.Equal(5, stage.A.Requests.Count);
        Assert.Equal((CircuitState.Closed, 0), await CircuitOfAAsync(stage));
    }

    [Fact]
    public async Task Chat_HalfOpenUnderTwentyRequests_OneTrialOnly()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat("Hi"), ShortCooldown);
        await OpenAsync(stage);
        stage.A.Script = Scripts.After(gate.Task, Scripts.Chat("Back"));
        await CooldownOverAsync(stage);

        var asking = Enumerable.Range(0, 20).Select(_ => stage.AskAsync()).ToArray();
        await Await.Until(() => asking.Count(task => task.IsCompleted) == 19, "all but the trial have their answer");
        Assert.Equal(4, stage.A.Requests.Count);
        Assert.Equal(CircuitState.Trial, (await stage.Balancer.ReadAsync()).For("a").Vitals.Circuit);
        gate.SetResult();

        var heard = await Await.For(Task.WhenAll(asking), "all answers");
        Assert.All(heard, answer => Assert.Equal(200, answer.Status));
        Assert.Equal((CircuitState.Closed, 0), await CircuitOfAAsync(stage));
    }

    [Fact]
    public async Task Chat_TrialFails_OpensAgainForLongerAndTheClientIsServed()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat("Hi"), ShortCooldown);
        await OpenAsync(stage);
        var first = (await stage.SettledAsync("a")).Vitals;
        await CooldownOverAsync(stage);

        var heard = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => stage.AskAsync()));

        Assert.All(heard, answer => Assert.Equal(200, answer.Status));
        var second = (await stage.SettledAsync("a")).Vitals;
        Assert.Equal((CircuitState.Open, first.CooldownMs * 2), (second.Circuit, second.CooldownMs));
        Assert.Equal(4, stage.A.Requests.Count);
    }

    [Fact]
    public async Task Chat_Recovered_GetsAFractionAtFirst()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Chat("Hi"), options => ShortCooldown(options) with { SlowStart = TimeSpan.FromHours(10) });
        await OpenAsync(stage);
        stage.A.Script = Scripts.Chat("Back");
        await CooldownOverAsync(stage);
        while ((await stage.SettledAsync("a")).Vitals.Circuit != CircuitState.Closed)
        {
            await stage.AskAsync();
        }

        var before = stage.A.Requests.Count;
        for (var i = 0; i < 100; i++)
        {
            await stage.AskAsync();
        }

        // Half of a tenth, as it gets every other turn; a full share would be fifty.
        Assert.InRange(stage.A.Requests.Count - before, 0, 25);
    }

    [Fact]
    public async Task Chat_EveryCircuitOpen_BestOfTheBadOnesIsTriedAndItIsSaid()
    {
        await using var stage = await Stage.PeersAsync(Scripts.Status(500), Scripts.Status(500), LongCooldown);
        do
        {
            await stage.AskAsync();
            await stage.SettledAsync();
        }
        while ((await stage.Balancer.ReadAsync()).Backends.Any(backend => backend.Vitals.Circuit == CircuitState.Closed));

        stage.A.Script = stage.B.Script = Scripts.Chat("Back");
        var heard = await stage.AskAsync();

        Assert.Equal((200, "1"), (heard.Status, heard.Attempts));
        Assert.True(stage.Balancer.Log.Has("Every backend is out"));
    }

    [Fact]
    public async Task Chat_EveryCircuitOpenWithoutPanicMode_503WithRetryAfter()
    {
        await using var stage = await Stage.AloneAsync(Scripts.Status(500), options => LongCooldown(options) with { PanicMode = false, RetryCount = 0 });
        for (var i = 0; i < 3; i++)
        {
            await stage.AskAsync();
        }

        var heard = await stage.AskAsync();

        Assert.Equal((503, "no_healthy_backend", "0"), (heard.Status, heard.ErrorCode, heard.Attempts));
        Assert.InRange(int.Parse(heard.Header("Retry-After")!, System.Globalization.CultureInfo.InvariantCulture), 100, 720);
        Assert.Equal(3, stage.A.Requests.Count);
    }

    [Fact]
    public async Task Chat_FlappingPrimary_NoClientSeesIt()
    {
        var turn = 0;
        await using var stage = await Stage.GroupsAsync(
            (request, connection, token) => (Interlocked.Increment(ref turn) / 4 % 2 == 0 ? Scripts.Chat("All is well") : Scripts.ResetBeforeHeaders)(request, connection, token),
            Scripts.Chat("All is well"),
            options => options with { RetryBudgetFloor = 1000 });

        for (var i = 0; i < 24; i++)
        {
            Assert.Equal(200, (await stage.AskAsync()).Status);
        }

        await stage.SettledAsync();
    }

    private static BalancerOptions LongCooldown(BalancerOptions options) => options with { Cooldown = TimeSpan.FromSeconds(600), CooldownMax = TimeSpan.FromSeconds(600) };

    private static BalancerOptions ShortCooldown(BalancerOptions options) => options with { Cooldown = TimeSpan.FromSeconds(1), SlowStart = TimeSpan.Zero };

    private static async Task OpenAsync(Stage stage)
    {
        while ((await stage.SettledAsync("a")).Vitals.Circuit == CircuitState.Closed)
        {
            Assert.Equal(200, (await stage.AskAsync()).Status);
        }
    }

    private static Task CooldownOverAsync(Stage stage)
    {
        return Await.Until(IsOver, "the cooldown is over");

        bool IsOver() => stage.Balancer.ReadAsync() is { IsCompletedSuccessfully: true } read
            && read.GetAwaiter().GetResult() is var snapshot && snapshot.NowMs >= snapshot.For("a").Vitals.OpenUntilMs;
    }

    private static async Task<(CircuitState Circuit, int Failures)> CircuitOfAAsync(Stage stage)
    {
        var (vitals, _) = await stage.SettledAsync("a");
        return (vitals.Circuit, vitals.ConsecutiveFailures);
    }
}
