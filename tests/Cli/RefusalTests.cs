using Roadbalancer.Admin;
using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary>What cannot be done: one sentence on the error stream with the next step, and the exit code.</summary>
public sealed class RefusalTests
{
    private const string Wrong = "k-wrong-secret";

    private static BalancerOptions One => new() { Backends = [Pools.Backend("a")], HealthCheckEnabled = false };

    [Theory]
    [InlineData("roadbalancer: 'bogus' is not a known command", "bogus")]
    [InlineData("roadbalancer: '--apikey' is not a known option", "status", "--apikey", Wrong)]
    [InlineData("Required command was not provided", "strategy")]
    [InlineData("'--url' is required", "add", "--name", "x")]
    [InlineData("--weight: 'much' is not a number", "add", "--url", "http://h", "--weight", "much")]
    [InlineData("The name of the backend is missing", "drain")]
    [InlineData("The backend is named twice", "drain", "a", "--name", "b")]
    [InlineData("Nothing to change is named", "update", "a")]
    [InlineData("--set: must be like FIELD=VALUE", "update", "a", "--set", Wrong)]
    [InlineData("Nothing to change is named", "strategy", "set")]
    [InlineData("--server-url: 'ftp://x' is not an address", "status", "--server-url", "ftp://x")]
    [InlineData("--api-key: the variable NOWHERE is not set", "status", "--api-key", "env:NOWHERE")]
    [InlineData("--count: '0' is not a whole number from 1", "try", "hello", "--count", "0")]
    [InlineData("--key cannot stand beside --backend", "history", "--key", "a", "--backend", "a")]
    [InlineData("--step: 'soon' is not a duration", "history", "--step", "soon")]
    [InlineData("'nonsense'", "events", "--types", "nonsense")]
    public async Task Line_ThatIsNotUnderstood_EndsWithTwo(string says, params string[] arguments)
    {
        var run = await CommandRun.WithAsync([], arguments);

        Assert.Equal((2, ""), (run.Code, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
        Assert.EndsWith(" --help».\n", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(Wrong, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task NoWord_AtAll_ShowsTheHelpAndEndsWithTwo()
    {
        var run = await CommandRun.WithAsync([]);

        Assert.Equal(2, run.Code);
        Assert.Contains("roadbalancer [command] [options]", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("events")]
    [InlineData("top")]
    [InlineData("try hello")]
    public async Task Balancer_ThatIsNotThere_IsSaidWithWhatToDo(string command)
    {
        await using var gone = ScriptedUpstream.Start(Scripts.Hang);
        await gone.StopAcceptingAsync();

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{gone.Port}", command.Split(' '));

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.StartsWith($"roadbalancer: Cannot reach http://127.0.0.1:{gone.Port} (", run.Error, StringComparison.Ordinal);
        Assert.EndsWith("or set --server-url.\n", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "give an admin key with --api-key or ROADBALANCER_ADMIN_KEY")]
    [InlineData(Wrong, "give another admin key with --api-key or ROADBALANCER_ADMIN_KEY")]
    [InlineData("k-client-secret", "this one is for clients")]
    public async Task Key_ThatIsNotAnAdminKey_IsRefusedWithWhatToDo(string? key, string says)
    {
        await using var host = await BalancerHost.StartAsync(One with { AdminKeys = [new("ops", AdminClient.Key)], ClientKeys = [new("team", "k-client-secret")] });

        var run = await CommandRun.OnAsync(host, ["status", .. key is null ? Array.Empty<string>() : ["--api-key", key]]);
        var allowed = await CommandRun.WithAsync([("ROADBALANCER_URL", host.Url.AbsoluteUri), ("ROADBALANCER_ADMIN_KEY", AdminClient.Key)], "status");

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
        Assert.False(key is not null && run.Error.Contains(key, StringComparison.Ordinal), run.Error);
        Assert.Equal(0, allowed.Code);
    }

    [Fact]
    public async Task Events_TheKeyIsTakenAway_EndsWithWhatToDo()
    {
        var keyed = One with { AdminKeys = [new("ops", AdminClient.Key)] };
        await using var host = await BalancerHost.StartAsync(keyed);
        var running = CommandRun.OnAsync(host, "events", "--api-key", AdminClient.Key);
        await Await.Until(() => host.Service<EventFeed>().HasListeners, "it listens", TimeSpan.FromSeconds(60));

        host.Pools.Swap(keyed with { AdminKeys = [new("ops", "k-another-key")] });
        var run = await running;

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains("give another admin key with --api-key", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("There is no backend 'nobody'; there are a.", "drain", "nobody")]
    [InlineData("There is no backend 'x y?'; there are a.", "remove", "x y?")]
    [InlineData("choose another with --name", "add", "--name", "A", "--url", "http://h.test")]
    [InlineData("add another one first", "remove", "a")]
    [InlineData("weight: '-1' is not valid; must be a whole number from 0 to 1,000,000", "update", "a", "--weight", "-1")]
    [InlineData("; weight: '-1' is not valid", "add", "--url", "nonsense", "--weight", "-1")]
    [InlineData("strategy: 'nope' is not valid", "strategy", "set", "--strategy", "nope")]
    [InlineData("There is no backend 'nobody'; there are a.", "history", "--backend", "nobody")]
    [InlineData("There is no key 'nobody'; there are none.", "history", "--key", "nobody")]
    public async Task Balancer_ThatRefuses_IsQuotedInOneSentence(string says, params string[] arguments)
    {
        await using var host = await BalancerHost.StartAsync(One);

        var run = await CommandRun.OnAsync(host, arguments);

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [InlineData(200, "<html>hello</html>", "not as a balancer with a management API does")]
    [InlineData(404, "not found", "not as a balancer with a management API does")]
    [InlineData(302, "", "redirects to http://elsewhere.test/")]
    [InlineData(502, "<html>bad gateway</html>", "answered 502")]
    public async Task Server_ThatIsSomethingElse_IsSaid(int status, string body, string says)
    {
        await using var other = ScriptedUpstream.Start(Scripts.Respond(status, body, ("Location", "http://elsewhere.test/")));

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{other.Port}", "status", "--api-key", Wrong);

        Assert.Equal((1, ""), (run.Code, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
        Assert.Contains("--server-url", run.Error, StringComparison.Ordinal);
        Assert.Single(other.Requests);
    }

    [Fact]
    public async Task Text_OfOthers_CannotReachTheTerminal()
    {
        const string page = """{"status":"success","data":{"backends":[{"name":"a\u001b[31mred","status":"healthy\tx","last_error":"x\u0007\n"}]}}""";
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, page));

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{upstream.Port}", "metrics");

        Assert.Equal(2, run.Lines.Length);
        Assert.DoesNotContain(run.Output, letter => char.IsControl(letter) && letter is not ('\n' or '\t'));
        Assert.Equal(run.Lines[0].Split('\t').Length, run.Lines[1].Split('\t').Length);
    }
}
