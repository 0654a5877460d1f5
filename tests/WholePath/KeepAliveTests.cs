using System.Net;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>What a client that asked for a stream gets while it has to wait: <c>stream_keep_alive</c>.</summary>
public sealed class KeepAliveTests : IAsyncLifetime
{
    private const string Comment = ": keep-alive";

    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Hang);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Fact]
    public async Task Stream_SlowFirstToken_HasCommentsAndThenTheWholeAnswer()
    {
        _upstream.Script = async (request, connection, gone) =>
        {
            await _gate.Task.WaitAsync(gone);
            await Scripts.Chat("one two")(request, connection, gone);
        };
        await using var host = await StartAsync();

        using var response = await host.ChatAsync(stream: true);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Equal(Comment, await reader.ReadLineAsync(Token));
        _gate.SetResult();

        Assert.Equal(("one two", true), Sse.Text(await reader.ReadToEndAsync(Token)));
        Assert.Single(_upstream.Requests);
    }

    [Fact]
    public async Task Stream_SilentMidway_HasCommentsBetweenWholeEvents()
    {
        _upstream.Script = async (_, connection, gone) =>
        {
            await connection.BeginStreamAsync();
            await connection.EventAsync(ScriptedChat.Content("first "));
            await _gate.Task.WaitAsync(gone);
            await connection.EventAsync(ScriptedChat.Content("second"));
            await connection.EventAsync(ScriptedChat.Finish());
            await connection.DoneAsync();
            await connection.EndAsync();
        };
        await using var host = await StartAsync();

        using var response = await host.ChatAsync(stream: true);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        var text = "";
        while (!text.Contains(Comment, StringComparison.Ordinal))
        {
            text += await reader.ReadLineAsync(Token) + "\n";
        }

        _gate.SetResult();
        Assert.Equal(("first second", true), Sse.Text(text + await reader.ReadToEndAsync(Token)));
    }

    [Fact]
    public async Task Stream_BrokenAfterComments_IsAskedForAgainAsIfNothingHadGoneOut()
    {
        await using var second = ScriptedUpstream.Start(Scripts.Chat("whole"));
        _upstream.Script = async (_, connection, gone) =>
        {
            await _gate.Task.WaitAsync(gone);
            await connection.ResetAsync();
        };
        await using var host = await BalancerHost.StartAsync([_upstream, second], WithKeepAlive, (index, backend) => backend with { Priority = index });

        using var response = await host.ChatAsync(stream: true);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        Assert.Equal(Comment, await reader.ReadLineAsync(Token));
        _gate.SetResult();

        Assert.Equal(("whole", true), Sse.Text(await reader.ReadToEndAsync(Token)));
    }

    [Theory]
    [InlineData(400, """{"error":{"message":"bad \"input\"","type":"invalid_request_error","code":"bad_input","param":"messages"}}""", "bad_input")]
    [InlineData(503, "<html>no JSON</html>", "bad_backend_answer")]
    public async Task Stream_FailedAfterComments_EndsInAnErrorEventAndACut(int status, string body, string code)
    {
        _upstream.Script = async (_, connection, gone) =>
        {
            await _gate.Task.WaitAsync(gone);
            await connection.RespondAsync(status, body);
        };
        await using var host = await StartAsync(options => options with { RetryCount = 0 });

        using var response = await host.ChatAsync(stream: true);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        var text = await reader.ReadLineAsync(Token) + "\n";
        _gate.SetResult();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await reader.ReadLineAsync(Token) is { } line)
            {
                text += line + "\n";
            }
        });

        Assert.Contains("data: {\"error\":{", text, StringComparison.Ordinal);
        Assert.Contains($"\"code\":\"{code}\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whole_SlowAnswer_KeepsItsOwnStatus()
    {
        _upstream.Script = async (request, connection, gone) =>
        {
            await _gate.Task.WaitAsync(gone);
            await connection.RespondAsync(418, "{}");
        };
        await using var host = await StartAsync();

        var asked = host.ChatAsync();
        await Await.Until(() => _upstream.Requests.Count == 1, "the request arrives");
        _gate.SetResult();
        using var response = await asked;

        Assert.Equal(418, (int)response.StatusCode);
    }

    [Fact]
    public async Task Whole_SilentLongerThanThePlatformBears_IsATimeoutInWords()
    {
        await using var host = await StartAsync(options => options with { LongestSilence = TimeSpan.FromMilliseconds(100), RetryCount = 0 });

        using var response = await host.ChatAsync();

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Contains("deadline_exceeded", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
    }

    private static BalancerOptions WithKeepAlive(BalancerOptions options) => options with { StreamKeepAlive = TimeSpan.FromMilliseconds(20) };

    private Task<BalancerHost> StartAsync(Func<BalancerOptions, BalancerOptions>? change = null) =>
        BalancerHost.StartAsync([_upstream], options => change?.Invoke(WithKeepAlive(options)) ?? WithKeepAlive(options));
}
