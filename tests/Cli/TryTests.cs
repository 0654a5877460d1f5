using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Cli;

/// <summary><c>try</c>: real requests through a real balancer.</summary>
public sealed class TryTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_Answered_ShowsTheAnswerAndWhoGaveIt(bool isStream)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one two three"));
        await using var host = await BalancerHost.StartAsync([upstream]);

        var run = await CommandRun.DoneAsync(host, ["try", "@what now?", .. isStream ? ["--stream"] : Array.Empty<string>()]);

        Assert.Equal("one two three", run.Lines[0]);
        Assert.Contains("backend\ta", run.Lines);
        Assert.Contains("attempts\t1", run.Lines);
        Assert.Contains("status\t200", run.Lines);
        Assert.Equal(!isStream, run.Lines.Contains("first token\t-"));
        var request = Assert.Single(upstream.Requests);
        Assert.Contains("@what now?", request.Text, StringComparison.Ordinal);
        Assert.Contains("\"model\":\"scripted-model\"", request.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Several_Streamed_ShowEachAndHowTheySpread()
    {
        await using var first = ScriptedUpstream.Start(Scripts.Chat("one two"));
        await using var second = ScriptedUpstream.Start(Scripts.Chat("one two"));
        await using var host = await BalancerHost.StartAsync([first, second]);

        var run = await CommandRun.DoneAsync(host, "try", "hello", "--stream", "--count", "4", "--model", "m");
        var json = await CommandRun.DoneAsync(host, "try", "hello", "--stream", "--count", "2", "--json");

        Assert.Equal("#\tBACKEND\tATTEMPTS\tSTATUS\tFIRST\tTIME", run.Lines[0].TrimEnd('\t'));
        Assert.Equal(["1", "2", "3", "4"], run.Lines[1..5].Select(line => line.Split('\t')[0]));
        Assert.StartsWith("a\t2\t50.0%\t0\t", run.Lines[6], StringComparison.Ordinal);
        Assert.StartsWith("b\t2\t50.0%\t0\t", run.Lines[7], StringComparison.Ordinal);
        Assert.Equal(3, first.Requests.Count);
        Assert.All(json.Json.GetProperty("requests").EnumerateArray(), request =>
        {
            Assert.Equal("one two", request.GetProperty("answer").GetString());
            Assert.Equal(1, request.GetProperty("attempts").GetInt32());
            Assert.True(request.GetProperty("time_to_first_token").GetDouble() <= request.GetProperty("time").GetDouble());
        });
        Assert.Equal([0.5, 0.5], json.Json.GetProperty("backends").EnumerateArray().Select(backend => backend.GetProperty("share").GetDouble()));
    }

    [Fact]
    public async Task One_AfterAFailover_TellsTheWay()
    {
        await using var broken = ScriptedUpstream.Start(Scripts.Status(500));
        await using var well = ScriptedUpstream.Start(Scripts.Chat("one"));
        await using var host = await BalancerHost.StartAsync([broken, well]);

        var run = await CommandRun.DoneAsync(host, "try", "hello", "--json");

        var request = run.Json.GetProperty("requests")[0];
        Assert.Equal(("b", 2), (request.GetProperty("backend").GetString(), request.GetProperty("attempts").GetInt32()));
        Assert.StartsWith("a;server_error;", request.GetProperty("way").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_ThatFails_IsToldAndEndsWithOne()
    {
        await using var broken = ScriptedUpstream.Start(Scripts.Status(400));
        await using var host = await BalancerHost.StartAsync([broken]);

        var one = await CommandRun.OnAsync(host, "try", "hello");
        var two = await CommandRun.OnAsync(host, "try", "hello", "--count", "2");

        Assert.Equal((1, "roadbalancer: Answered 400: Scripted status 400.\n"), (one.Code, one.Error));
        Assert.Equal(1, two.Code);
        Assert.Contains("Answered 400: Scripted status 400.", two.Lines[1], StringComparison.Ordinal);
        Assert.StartsWith("a\t2\t100%\t2\t", two.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_ThatBreaks_IsAFailure()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.StreamThen(ScriptedChat.Events("one two three").Take(3), connection => connection.ResetAsync()));
        await using var host = await BalancerHost.StartAsync([upstream]);

        var run = await CommandRun.OnAsync(host, "try", "hello", "--stream");

        Assert.Equal(1, run.Code);
        Assert.StartsWith("one two", run.Output, StringComparison.Ordinal);
        Assert.StartsWith("roadbalancer: ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminKey_OfTheCommand_NeverGoesWithARequest()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one"));
        await using var open = await BalancerHost.StartAsync([upstream]);
        await using var closed = await BalancerHost.StartAsync([upstream], options => options with { ClientKeys = [new("team", "k-client-secret")] });

        await CommandRun.DoneAsync(open, "try", "hello", "--api-key", AdminClient.Key);
        var refused = await CommandRun.OnAsync(closed, "try", "hello", "--api-key", AdminClient.Key);
        var allowed = await CommandRun.WithAsync([("ROADBALANCER_URL", closed.Url.AbsoluteUri), ("ROADBALANCER_CLIENT_KEY", "k-client-secret")], "try", "hello");

        Assert.Equal((1, 0), (refused.Code, allowed.Code));
        Assert.Equal("roadbalancer: The balancer wants a client key: give one with --client-key or ROADBALANCER_CLIENT_KEY.\n", refused.Error);
        Assert.Equal(2, upstream.Requests.Count);
        Assert.DoesNotContain(upstream.Requests.Concat(upstream.Probes), request => request.Headers.Any(header => header.Value.Contains(AdminClient.Key, StringComparison.Ordinal)));
    }
}
