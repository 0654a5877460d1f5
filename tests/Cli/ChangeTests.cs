using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary>Every command that changes something, against a real balancer.</summary>
public sealed class ChangeTests
{
    private static BalancerOptions Two => new() { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false };

    [Fact]
    public async Task Add_WithEveryOption_SendsEachField()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var run = await CommandRun.WithAsync(
            [("ROADBALANCER_URL", host.Url.AbsoluteUri), ("GPU_KEY", "k-backend-secret")],
            "add", "--name", "gpu3", "--url", "http://gpu3.test:8000", "--model-name", "m", "--backend-api-key", "env:GPU_KEY", "--weight", "2", "--max-connections", "64",
            "--timeout", "120.5", "--priority", "-1", "--tags", "fast,local", "big", "--max-tokens", "1024", "--temperature", "0.7", "--set", "auth=api-key", "--set", "headers={\"X-A\":\"b\"}");

        Assert.Equal((0, "Backend gpu3 was added.\n", ""), (run.Code, run.Output, run.Error));
        var backend = host.Pools.Current.Backends.Single(one => one.Name == "gpu3");
        Assert.Equal("http://gpu3.test:8000/v1", backend.BaseUrl.AbsoluteUri);
        Assert.Equal(("m", "k-backend-secret", 2, 64, -1, 1024, 0.7), (backend.ModelName, backend.ApiKey, backend.Weight, backend.MaxConnections, backend.Priority, backend.MaxTokens, backend.Temperature));
        Assert.Equal(TimeSpan.FromSeconds(120.5), backend.Timeout);
        Assert.Equal(["big", "fast", "local"], backend.Tags.Order());
        Assert.Equal("X-A", Assert.Single(backend.Headers).Key);
    }

    [Fact]
    public async Task Update_AndUnset_ChangeWhatIsNamed()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var changed = await CommandRun.DoneAsync(host, "update", "a", "--weight", "5", "--priority", "3");
        var taken = await CommandRun.DoneAsync(host, "update", "--name", "a", "--unset", "priority", "--json");

        Assert.Equal("Backend a was changed.\n", changed.Output);
        Assert.Equal((5, 0), (taken.Json.GetProperty("backend").GetProperty("weight").GetInt32(), taken.Json.GetProperty("backend").GetProperty("priority").GetInt32()));
    }

    [Fact]
    public async Task Remove_WithADrain_TakesItOut()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var run = await CommandRun.DoneAsync(host, "remove", "b", "--drain", "1");
        var list = await CommandRun.OnAsync(host, "list");

        Assert.Equal("Backend b was removed.\n", run.Output);
        Assert.Equal(["a"], host.Pools.Current.Backends.Select(backend => backend.Name));
        Assert.Contains("roadbalancer restore", list.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("disable", false, false)]
    [InlineData("drain", true, true)]
    [InlineData("reset", true, false)]
    public async Task Switch_AndBackAgain_IsInForce(string command, bool isEnabled, bool isDraining)
    {
        await using var host = await BalancerHost.StartAsync(Two);

        await CommandRun.DoneAsync(host, command, "b");
        var switched = host.Pools.Current.Backends[1];
        await CommandRun.DoneAsync(host, command == "drain" ? "restore" : "enable", "b");
        var again = host.Pools.Current.Backends[1];

        Assert.Equal((isEnabled, isDraining), (switched.Enabled, switched.Draining));
        Assert.Equal((true, false), (again.Enabled, again.Draining));
    }

    [Fact]
    public async Task HealthCheck_OfOneThatAnswersAndOneThatDoesNot_TellsByTheExitCode()
    {
        await using var well = ScriptedUpstream.Start(Scripts.Chat("x"));
        await using var ill = ScriptedUpstream.Start(Scripts.Status(500));
        ill.ProbeScript = Scripts.Status(503);
        await using var host = await BalancerHost.StartAsync([well, ill]);

        var good = await CommandRun.OnAsync(host, "health-check", "a");
        var bad = await CommandRun.OnAsync(host, "health-check", "b");

        Assert.Equal((0, 1), (good.Code, bad.Code));
        Assert.Contains("healthy\tyes", good.Lines);
        Assert.Contains("healthy\tno", bad.Lines);
        Assert.Contains("status code\t503", bad.Lines);
    }

    [Fact]
    public async Task StrategyAndHealthChecks_Set_AreInForce()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var set = await CommandRun.DoneAsync(
            host, "strategy", "set", "--strategy", "least_connections", "--health-check-interval", "12.5", "--max-retries", "1", "--failure-threshold", "4");
        var start = await CommandRun.DoneAsync(host, "health-check-control", "start");
        var isRunning = host.Pools.Current.Options.HealthCheckEnabled;
        await CommandRun.DoneAsync(host, "health-check-control", "stop");

        var options = host.Pools.Current.Options;
        Assert.Equal(("least_connections", 12.5, 4), (options.Strategy, options.HealthCheckInterval.TotalSeconds, options.FailureThreshold));
        Assert.Contains("max retries\t1 (changed here)", set.Lines);
        Assert.Equal("Health checks are running.\n", start.Output);
        Assert.Equal((true, false), (isRunning, options.HealthCheckEnabled));
    }

    [Fact]
    public async Task Keys_AddedChangedAndRemoved_AreListed()
    {
        await using var host = await BalancerHost.StartAsync(Two with { ClientKeys = [new("first", "k-first-secret")] });

        var added = await CommandRun.DoneAsync(host, "keys", "add", "team", "--models", "gpt-4o*", "m", "--requests-per-minute", "60", "--expires", "2099-01-31");
        await CommandRun.DoneAsync(host, "keys", "update", "team", "--max-concurrency", "3", "--unset", "requests_per_minute");
        var list = await CommandRun.DoneAsync(host, "keys", "list");
        await CommandRun.DoneAsync(host, "keys", "remove", "team");

        Assert.StartsWith("secret\trb-", added.Lines[1], StringComparison.Ordinal);
        Assert.Contains("team\tadded\tgpt-4o*, m\t-\t-\t-\t3\t2099-01-31\t0\t0\t0", list.Lines);
        Assert.DoesNotContain("k-first-secret", list.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("team", (await CommandRun.DoneAsync(host, "keys", "list")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scripts_ThatBeginWithManage_RunAsTheyAreWritten()
    {
        await using var host = await BalancerHost.StartAsync(Two with { AdminKeys = [new("ops", AdminClient.Key)] });
        string[] globals = ["manage", "--server-url", host.Url.AbsoluteUri, "--api-key", AdminClient.Key];

        var status = await CommandRun.WithAsync([], [.. globals, "status"]);
        var add = await CommandRun.WithAsync([], [.. globals, "add", "--name", "new", "--url", "http://new.test:8000", "--model-name", "m", "--weight", "2"]);
        var set = await CommandRun.WithAsync([], [.. globals, "strategy", "set", "--strategy", "least_connections"]);

        Assert.All([status, add, set], run => Assert.Equal((0, ""), (run.Code, run.Error)));
        Assert.Equal((3, "least_connections"), (host.Pools.Current.Backends.Length, host.Pools.Current.Options.Strategy));
    }
}
