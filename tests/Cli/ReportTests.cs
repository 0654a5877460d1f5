using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary>What only looks: status, list, metrics, strategy get, history, top, events.</summary>
public sealed partial class ReportTests
{
    [Fact]
    public async Task Status_Piped_IsALineAFactWithTabs()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b") with { Enabled = false }], HealthCheckEnabled = false });

        var run = await CommandRun.DoneAsync(host, "status");

        Assert.Contains("strategy\tround_robin", run.Lines);
        Assert.Contains("backends\t1 of 2 healthy", run.Lines);
        Assert.Contains("available\ta", run.Lines);
        Assert.Contains("health checks\toff", run.Lines);
        Assert.DoesNotContain('\e', run.Output);
    }

    [Theory]
    [InlineData("status", "total_backends")]
    [InlineData("list", "backends")]
    [InlineData("metrics", "backends")]
    [InlineData("strategy get", "failure_threshold")]
    [InlineData("keys list", "keys")]
    [InlineData("top", "in_flight")]
    public async Task AnyReport_AsJson_IsTheDataIndented(string command, string member)
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a")], HealthCheckEnabled = false });

        var run = await CommandRun.DoneAsync(host, [.. command.Split(' '), "--json"]);

        Assert.True(run.Json.TryGetProperty(member, out _), run.Output);
        Assert.StartsWith("{\n  \"", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ListAndMetrics_Piped_HaveAHeadingAndARowForEachBackend()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one two"));
        await using var broken = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([upstream, broken], shape: (index, backend) => backend with { Weight = index + 1, Tags = [.. index == 0 ? ["fast", "eu"] : Array.Empty<string>()] });
        using var answer = await host.ChatAsync();
        using var second = await host.ChatAsync();

        var list = await CommandRun.DoneAsync(host, "list");
        var metrics = await CommandRun.DoneAsync(host, "metrics");

        Assert.Equal("NAME\tSTATUS\tURL\tMODEL\tWEIGHT\tLIMIT\tPRIO\tTAGS\tSOURCE", list.Lines[0]);
        Assert.Equal($"a\thealthy\t{upstream.BaseUrl}\t-\t1\t100\t0\teu, fast\tconfigured", list.Lines[1].Replace("\t1000\t", "\t100\t", StringComparison.Ordinal));
        Assert.Equal(3, metrics.Lines.Length);
        Assert.Equal(metrics.Lines[0].Split('\t').Length, metrics.Lines[1].Split('\t').Length);
        Assert.Contains("100%", metrics.Lines[1], StringComparison.Ordinal);
        Assert.Contains("ServerError", metrics.Lines[2], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("list")]
    [InlineData("metrics")]
    [InlineData("strategy get")]
    public async Task AnyReport_OnATerminal_FitsIntoEightyColumnsAndHasColours(string command)
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            Backends = [Pools.Backend("a"), Pools.Backend("a-long-name-as-clusters-have") with { Enabled = false, Tags = ["fast", "local"], ModelName = "llama-3.3-70b-instruct" }],
            HealthCheckEnabled = false,
        });

        var coloured = await CommandRun.OnTerminalAsync(host, [], command);
        var plain = await CommandRun.OnTerminalAsync(host, [("NO_COLOR", "1")], command);

        Assert.Equal((0, 0), (coloured.Code, plain.Code));
        Assert.DoesNotContain(Text(coloured).Concat(Text(plain)), line => line.Length > 80);
        Assert.Equal(command != "strategy get", Colour().IsMatch(coloured.Output));
        Assert.DoesNotMatch(Colour(), plain.Output);
        Assert.DoesNotContain('─', plain.Output);
    }

    [Fact]
    public async Task KeysList_OnATerminal_KeepsWordsAndDatesWhole()
    {
        var limits = new KeyLimits { RequestsPerMinute = 120, TokensPerMinute = 20_000, MaxConcurrency = 16, Expires = new DateTimeOffset(2099, 1, 31, 0, 0, 0, TimeSpan.Zero), Models = ["demo-*"] };
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            Backends = [Pools.Backend("a")],
            HealthCheckEnabled = false,
            ClientKeys = [new("intern", "k-1"), new("team-a", "k-2") { Limits = limits }],
        });

        var run = await CommandRun.OnTerminalAsync(host, [], "keys list");

        Assert.Contains(Text(run), line => line.Contains("team-a demo-*", StringComparison.Ordinal) && line.Contains("2099-01-31", StringComparison.Ordinal));
        Assert.DoesNotContain(Text(run), line => line.Length > 80);
    }

    [Fact]
    public async Task Top_OnATerminal_EndsOnQAndGivesTheScreenBack()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });

        var run = await CommandRun.OnTerminalAsync(host, [], "top", after: "(q ends)", input: "q");

        Assert.Equal(0, run.Code);
        Assert.Contains("\e[?1049h", run.Output, StringComparison.Ordinal);
        Assert.Contains("2 of 2 healthy", run.Output, StringComparison.Ordinal);
        Assert.True(run.Output.LastIndexOf("\e[?25h\e[?1049l", StringComparison.Ordinal) > run.Output.LastIndexOf("(q ends)", StringComparison.Ordinal), run.Output);
        Assert.DoesNotContain(Text(run), line => line.Length > 80);
    }

    [Fact]
    public async Task Top_Piped_IsOnePicture()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });

        var run = await CommandRun.DoneAsync(host, "top");

        Assert.Contains("2 of 2 healthy", run.Lines[0], StringComparison.Ordinal);
        Assert.Equal(["NAME\tSTATUS", "a\thealthy", "b\thealthy"], run.Lines[2..].Select(line => string.Join('\t', line.Split('\t')[..2])));
        Assert.DoesNotContain('\e', run.Output);
    }

    [Fact]
    public async Task Events_RecentOnes_AreToldAsTextAndAsJson()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });
        await CommandRun.DoneAsync(host, "update", "a", "--weight", "5");
        await CommandRun.DoneAsync(host, "strategy", "set", "--strategy", "random");

        var text = await CommandRun.DoneAsync(host, "events", "--recent", "2", "--count", "2");
        var json = await CommandRun.DoneAsync(host, "events", "--recent", "1", "--count", "1", "--json");
        var status = await CommandRun.DoneAsync(host, "events", "--types", "status", "--count", "1");

        Assert.EndsWith("change\ta\tbackend_changed by loopback: a weight 1 -> 5", text.Lines[0], StringComparison.Ordinal);
        Assert.EndsWith("change\t-\tstrategy_changed by loopback: strategy round_robin -> random", text.Lines[1], StringComparison.Ordinal);
        Assert.Equal("strategy_changed", json.Json.GetProperty("action").GetString());
        Assert.Contains("2 of 2 healthy", status.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_ThatBreakOff_AreAskedForAgain()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen(["""{"kind":"opened"}"""], connection => connection.CloseAsync()));

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{upstream.Port}", "events", "--count", "2", "--json");

        Assert.Equal((0, "{\"kind\":\"opened\"}\n{\"kind\":\"opened\"}\n"), (run.Code, run.Output));
        Assert.Equal(2, upstream.Requests.Count);
    }

    [Fact]
    public async Task History_OfTwoBackends_IsALineEachWithASparkline()
    {
        const string page = """
            {"status":"success","data":{"from":"2026-11-21T08:00:00.000Z","to":"2026-11-21T12:00:00.000Z","step":3600,"backends":[
              {"name":"a","points":[
                {"time":"2026-11-21T08:00:00.000Z","total_requests":10,"successful_requests":10,"failed_requests":0,"success_rate":1,"average_response_time":1.0,"input_tokens":100,"output_tokens":20},
                {"time":"2026-11-21T10:00:00.000Z","total_requests":40,"successful_requests":30,"failed_requests":10,"success_rate":0.75,"average_response_time":2.0,"input_tokens":0,"output_tokens":0}],
               "trips":[{"time":"2026-11-21T10:00:00.000Z","count":2}]},
              {"name":"b","points":[],"trips":[]}]}}
            """;
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, page));

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{upstream.Port}/v1", "history", "--backend", "a b", "--from", "1795248000", "--step", "1h");

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal("2026-11-21 08:00:00 to 2026-11-21 12:00:00 UTC, in steps of 60 min", run.Lines[0]);
        Assert.Equal("a\t50\t10\t80.0%\t1.75 s\t120\t2\t▂ █ ", run.Lines[2]);
        Assert.Equal("b\t0\t0\t-\t-\t0\t0\t    ", run.Lines[3]);
        Assert.Equal("/api/v1/load_balancer/history?backend=a%20b&from=1795248000&step=3600", Assert.Single(upstream.Requests).Target);
    }

    [Fact]
    public async Task History_OfKeys_IsALineEachWithASparkline()
    {
        const string page = """
            {"status":"success","data":{"from":"2026-11-21T08:00:00.000Z","to":"2026-11-21T12:00:00.000Z","step":3600,"keys":[
              {"name":"app","points":[
                {"time":"2026-11-21T08:00:00.000Z","requests":10,"refusals":0,"input_tokens":100,"output_tokens":20},
                {"time":"2026-11-21T10:00:00.000Z","requests":40,"refusals":3,"input_tokens":400,"output_tokens":90}]},
              {"name":"team","points":[]}]}}
            """;
        await using var upstream = ScriptedUpstream.Start(Scripts.Respond(200, page));

        var run = await CommandRun.AtAsync($"http://127.0.0.1:{upstream.Port}", "history", "--key", "*");

        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal(["KEY\tREQ\tREFUSED\tTOKENS IN\tTOKENS OUT\tREQUESTS OVER TIME", "app\t50\t3\t500\t110\t▂ █ ", "team\t0\t0\t0\t0\t    "], run.Lines[1..4]);
        Assert.Equal("/api/v1/load_balancer/history?key=%2A", Assert.Single(upstream.Requests).Target);
    }

    /// <summary>What is on the screen, without what moves and colours it; a picture that is drawn over another begins on a line of its own.</summary>
    private static IEnumerable<string> Text(CommandRun run) => Escapes().Replace(run.Output.Replace("\e[H", "\n", StringComparison.Ordinal), "").Split('\n').Select(line => line.TrimEnd('\r'));

    [GeneratedRegex(@"\e\[[0-9;]+m")]
    private static partial Regex Colour();

    [GeneratedRegex(@"\e(\[[0-9;?]*[A-Za-z]|[=>])")]
    private static partial Regex Escapes();
}
