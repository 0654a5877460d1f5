using System.Net;
using System.Text;
using System.Text.Json;
using Roadbalancer.Simulation;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Simulation;

/// <summary>Every fault as it looks on the wire.</summary>
public sealed class SimulatedBackendFaultTests : IAsyncLifetime
{
    private const string Stream = "\"stream\":true,";
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false });
    private RunningSimulation _simulation = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _simulation = await SimulatedBackend.StartAsync(new(), TimeProvider.System, Token);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _simulation.DisposeAsync();
    }

    [Theory]
    [InlineData("status=500", 500, "server_error")]
    [InlineData("status=503", 503, "overloaded")]
    [InlineData("status=429", 429, "rate_limit_exceeded")]
    [InlineData("context_length", 400, "context_length_exceeded")]
    [InlineData("content_filter", 400, "content_filter")]
    [InlineData("quota", 429, "insufficient_quota")]
    [InlineData("unauthorized", 401, "invalid_api_key")]
    [InlineData("model_absent", 404, "model_not_found")]
    [InlineData("explode", 400, "unknown_fault")]
    public async Task Post_ErrorFault_AnswersInOpenAisShape(string fault, int status, string code)
    {
        using var response = await PostAsync(Stream, fault);

        using var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Token));
        var error = body.RootElement.GetProperty("error");
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(code, new[] { error.GetProperty("code").GetString(), error.GetProperty("type").GetString() });
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task Post_FaultAsModelName_CarriesRetryAfter()
    {
        using var response = await PostAsync(Stream, fault: "", model: "sim;status=503;retry_after=3");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(3)), (response.StatusCode, response.Headers.RetryAfter?.Delta));
    }

    [Fact]
    public async Task Post_FaultInQueryAndModelName_QueryWins()
    {
        using var response = await PostAsync(Stream, "no_done", model: "sim;status=503");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("first_token_ms=10,tps=2000")]
    public async Task PostStream_NothingButPace_IsWhole(string pace)
    {
        var (text, error) = await ReadAsync(Stream, pace);

        Assert.Null(error);
        Assert.EndsWith("\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", text, StringComparison.Ordinal);
        Assert.All(Data(text)[..^1], data => JsonDocument.Parse(data).Dispose());
    }

    [Theory]
    [InlineData("cut_after=5", 5, true)]
    [InlineData("short_body", 24, true)]
    [InlineData("cut_after_clean=5", 5, false)]
    public async Task PostStream_Cut_SendsExactlyTheTokensBefore(string fault, int tokens, bool breaks)
    {
        var (text, error) = await ReadAsync(Stream, fault);

        Assert.Equal(tokens, Tokens(text));
        Assert.Equal(breaks, error is not null);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"stop\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PostStream_CutAfter_IsARealReset()
    {
        var (_, error) = await ReadAsync(Stream, "cut_after=1");

        var socket = Assert.IsType<System.Net.Sockets.SocketException>(error?.GetBaseException());
        Assert.Equal(System.Net.Sockets.SocketError.ConnectionReset, socket.SocketErrorCode);
    }

    [Fact]
    public async Task PostStream_MalformedAfter_RestIsWhole()
    {
        var (text, error) = await ReadAsync(Stream, "malformed_after=3");
        var (whole, _) = await ReadAsync(Stream, "");

        Assert.Null(error);
        Assert.Equal(Tokens(whole), Tokens(text));
        Assert.Single(Data(text), data => data.EndsWith("chat.comp", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task PostStream_ErrorEventAfter_EndsWithTheError(int tokens)
    {
        var (text, error) = await ReadAsync(Stream, $"error_event_after={tokens}");

        Assert.Null(error);
        Assert.Equal(tokens, Tokens(text));
        Assert.StartsWith("{\"error\":", Data(text)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task PostStream_NoDone_EndsWithTheFinish()
    {
        var (text, error) = await ReadAsync(Stream, "no_done");

        Assert.Null(error);
        Assert.EndsWith("\"finish_reason\":\"stop\"}]}\n\n", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Stream)]
    [InlineData("")]
    public async Task Post_Empty_IsA200WithoutABody(string stream) => Assert.Equal(("", null), await ReadAsync(stream, "empty"));

    [Theory]
    [InlineData(Stream)]
    [InlineData("")]
    public async Task Post_BadJson_CannotBeParsed(string stream)
    {
        var (text, error) = await ReadAsync(stream, "bad_json");

        Assert.Null(error);
        Assert.StartsWith("{\"id\"", text, StringComparison.Ordinal);
        Assert.ThrowsAny<JsonException>(() => JsonDocument.Parse(text));
    }

    [Theory]
    [InlineData("", "short_body")]
    [InlineData("", "cut_after=3")]
    [InlineData("", "reset")]
    [InlineData(Stream, "reset")]
    public async Task Post_ConnectionFault_BreaksForTheClient(string stream, string fault)
    {
        var (_, error) = await ReadAsync(stream, fault);

        Assert.NotNull(error);
    }

    [Theory]
    [InlineData(Stream, "silent")]
    [InlineData("", "stall_after=3")]
    [InlineData(Stream, "stall_after=3")]
    public async Task Post_Silence_EndsWhenTheClientLeaves(string stream, string fault)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var reading = ReadAsync(stream, fault, leaving.Token);
        await Await.Until(() => _simulation.InFlight == 1, "the request is being answered");

        await leaving.CancelAsync();

        await Await.Until(() => _simulation.InFlight == 0, "the simulation has noticed");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    [Fact]
    public async Task PostStream_FailRatio_FailsTheSeedsShareOfRequests()
    {
        var failed = 0;
        for (var i = 0; i < 100; i++)
        {
            failed += (await ReadAsync(Stream, "fail=0.25")) is (var text, null) && text.Contains("[DONE]", StringComparison.Ordinal) ? 0 : 1;
        }

        Assert.Equal(22, failed);
    }

    private static string[] Data(string text) =>
        [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(data => data["data: ".Length..])];

    private static int Tokens(string text) => text.Split("\"delta\":{\"content\"").Length - 1;

    private async Task<HttpResponseMessage> PostAsync(string stream, string fault, string model = "m", CancellationToken? cancellationToken = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"{_simulation.BaseUrl}/chat/completions?sim={Uri.EscapeDataString(fault)}"));
        request.Content = new StringContent($$"""{{{stream}}"model":"{{model}}","messages":[{"role":"user","content":"Hello"}]}""", Encoding.UTF8, "application/json");
        return await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken ?? Token);
    }

    /// <summary>What arrived, and what ended it when that was not the end of the answer.</summary>
    private async Task<(string Text, Exception? Error)> ReadAsync(string stream, string fault, CancellationToken? cancellationToken = null)
    {
        var text = new StringBuilder();
        try
        {
            using var response = await PostAsync(stream, fault, cancellationToken: cancellationToken);
            await using var body = await response.Content.ReadAsStreamAsync(Token);
            var buffer = new byte[8192];
            while (await body.ReadAsync(buffer, cancellationToken ?? Token) is > 0 and var count)
            {
                text.Append(Encoding.UTF8.GetString(buffer, 0, count));
            }

            return (text.ToString(), null);
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return (text.ToString(), exception);
        }
    }
}
