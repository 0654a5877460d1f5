using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Roadbalancer.Functions.Hosted.Wire;
using Roadbalancer.Ledger;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

/// <summary>The published program under a host that does what the real one was recorded doing.</summary>
public sealed class HostedProgramTests(PublishedApp app, HostedProgramTests.Running running) : IClassFixture<HostedProgramTests.Running>, IAsyncLifetime
{
    private HostedProgram _program = null!;
    private ScriptedUpstream _upstream = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => (_program, _upstream) = await running.BeginAsync(app);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [MemberData(nameof(Capture.Names), "entity-", MemberType = typeof(Capture))]
    public async Task Entity_EachCapturedCall_IsAnsweredByAWholeResultThatKeepsAForeignState(string name)
    {
        var capture = Capture.Read(name);
        var batch = EntityCall.BatchIn(capture.Body);

        using var response = await _program.SendAsync(capture);
        var result = EntityCall.ResultIn(await response.Content.ReadAsStringAsync(Token), out var logs);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(batch.Operations.Count, result.Results.Count);
        Assert.Null(result.FailureDetails);
        Assert.Equal(batch.Operations.Any(operation => operation.Operation == "delete") ? null : batch.EntityState, result.EntityState);
        Assert.Contains(batch.InstanceId, Assert.Single(logs), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Entity_OurOwnBatches_MoveTheStateFromReplyToReply()
    {
        var put = EntityCall.Batch(null, ("put", """{"version":3,"document":"{\"a\":1}"}"""), ("get", null));
        var first = await EntityAsync("/RegistryEntity", put.ToByteArray());
        Assert.Equal(RegistryEntity.Apply(null, "put", put.Operations[0].Input).State, first.EntityState);
        Assert.Equal(first.EntityState, first.Results[1].Success.Result);

        var second = await EntityAsync("/RegistryEntity", EntityCall.Batch(first.EntityState, ("put", """{"version":2,"document":"{}"}"""), ("delete", null)).ToByteArray());
        Assert.Null(second.EntityState);
        Assert.All(second.Results, result => Assert.Null(result.Failure));
    }

    [Theory]
    [InlineData("\"%%%not base64%%%\"", "the batch is not base64")]
    [InlineData("\"ChdA\"", "the batch is not a whole EntityBatchRequest")]
    public async Task Entity_MalformedBatch_FailsAsAWholeWithALogLine(string context, string reason)
    {
        using var response = await PostAsync("/BackendEntity", EntityCall.BodyOf(context));
        var result = EntityCall.ResultIn(await response.Content.ReadAsStringAsync(Token), out var logs);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(("MalformedBatch", reason), (result.FailureDetails.ErrorType, result.FailureDetails.ErrorMessage));
        Assert.Contains(reason, Assert.Single(logs), StringComparison.Ordinal);
        await _program.SaysAsync($"Refused a batch of entity operations, nothing of it was done: {reason}");
    }

    [Fact]
    public async Task Entity_TenThousandOperationsAndMore_AreAnswered()
    {
        var result = await EntityAsync("/BackendEntity", EntityCall.Batch(null, [.. Enumerable.Repeat(("get", (string?)null), 10_000)]).ToByteArray());
        Assert.InRange(result.Results.Count, 1, 10_000);

        using var tooLarge = await PostAsync("/BackendEntity", EntityCall.BodyOf(new string('A', 17 * 1024 * 1024)));
        Assert.Contains("larger than", EntityCall.ResultIn(await tooLarge.Content.ReadAsStringAsync(Token), out _).FailureDetails.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Entity_GeneratedBytes_AreAlwaysAnsweredByAWholeResult()
    {
        for (var seed = 1; seed <= 200; seed++)
        {
            var random = new Random(seed);
            var bytes = EntityCall.Batch("{\"n\":1}", ("put", "{}"), ("get", null)).ToByteArray();
            for (var i = random.Next(4); i > 0; i--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            var result = await EntityAsync("/BackendEntity", bytes[..random.Next(bytes.Length + 1)]);
            Assert.True(result.FailureDetails is null || result.Results.Count == 0, $"seed {seed}");
        }
    }

    [Fact]
    public async Task HealthCheck_EachCapturedTimer_ProbesOnceAndThenSaysWhyNot()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var program = await Running.StartAsync(app, upstream);

        Assert.StartsWith("Probed 1 backends in ", await TimerAsync(program, Capture.Read("timer-past-due"), "/HealthCheck"), StringComparison.Ordinal);
        foreach (var name in Capture.Names("timer-"))
        {
            Assert.StartsWith("Skipped: probed ", await TimerAsync(program, Capture.Read(name.Data), "/HealthCheck"), StringComparison.Ordinal);
        }

        Assert.Single(upstream.Probes);
    }

    [Fact]
    public async Task Settle_CapturedTimerWithItsClient_BringsTheTotalsIntoTheEntities()
    {
        const string key = "the-system-key";
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var program = await Running.StartAsync(app, upstream);
        await using var durable = await DurableApi.StartAsync(key, () => program.Http);
        var capture = Capture.Read("timer-with-durable-client");
        var body = capture.Body.Replace("localhost:7194", $"127.0.0.1:{durable.Port}", StringComparison.Ordinal).Replace("<redacted>", key, StringComparison.Ordinal);
        using (var answered = await program.Http.PostAsync("/v1/chat/completions", new StringContent(BalancerHost.ChatJson(), Encoding.UTF8, "application/json"), Token))
        {
            Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
        }

        var report = await TimerAsync(program, capture with { Body = body }, "/Settle");

        var state = durable.States[$"{BackendEntity.Name}/{EntityKey.Of("a")}"];
        Assert.Equal(1, BackendRecord.Parse(state).Totals.Requests);
        Assert.NotEmpty(report);
        Assert.DoesNotContain(key, report + program.Output, StringComparison.Ordinal);

        // Again, with nothing new: nothing is counted twice.
        await TimerAsync(program, capture with { Body = body }, "/Settle");
        Assert.Equal(1, BackendRecord.Parse(durable.States[$"{BackendEntity.Name}/{EntityKey.Of("a")}"]).Totals.Requests);
    }

    [Fact]
    public async Task Settle_KeysThatWereUsed_AreInTheEntitiesAndWithTheNextProgram()
    {
        const string key = "the-system-key";
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        HostedProgram? program = null;
        await using var durable = await DurableApi.StartAsync(key, () => program!.Http);
        var capture = Capture.Read("timer-with-durable-client");
        capture = capture with { Body = capture.Body.Replace("localhost:7194", $"127.0.0.1:{durable.Port}", StringComparison.Ordinal).Replace("<redacted>", key, StringComparison.Ordinal) };
        for (var round = 1; round <= 2; round++)
        {
            await using (program = await HostedProgram.StartAsync(
                await app.FolderAsync(), ("LLM_ENDPOINTS", upstream.BaseUrl.AbsoluteUri), ("HEALTH_CHECK_INTERVAL", "3600"), ("ROADBALANCER_API_KEYS", "team=k-team")))
            {
                program.Http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", "Bearer k-team");
                using (var answered = await program.Http.PostAsync("/v1/chat/completions", new StringContent(BalancerHost.ChatJson(), Encoding.UTF8, "application/json"), Token))
                {
                    Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
                }

                await Await.Until(async () => await RequestsAsync(program) >= 1, "it is counted");
                Assert.Contains("settled 1 client keys", await TimerAsync(program, capture, "/Settle"), StringComparison.Ordinal);
                await TimerAsync(program, capture, "/Settle");
                Assert.Equal(round, BackendRecord.Parse(durable.States[$"{KeyEntity.Name}/{EntityKey.Of("team")}"]).Totals.Requests);
                Assert.Equal(round, await RequestsAsync(program));
            }
        }
    }

    private static async Task<long> RequestsAsync(HostedProgram program) =>
        JsonDocument.Parse(await program.Http.GetStringAsync("/stats", Token)).RootElement.GetProperty("keys")[0].GetProperty("requests").GetInt64();

    [Fact]
    public async Task Settle_DurableApiThatDoesNotAnswer_IsToldInTheLog()
    {
        var capture = Capture.Read("timer-with-durable-client");
        var body = capture.Body.Replace("localhost:7194", $"127.0.0.1:{RedisServer.FreePort()}", StringComparison.Ordinal);
        Assert.Contains("cannot be reached", await TimerAsync(_program, capture with { Body = body }, "/Settle"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/HealthCheck", "")]
    [InlineData("/HealthCheck", "nonsense")]
    [InlineData("/HealthCheck", "{}")]
    [InlineData("/HealthCheck", """{"Data":{"timer":"soon"}}""")]
    [InlineData("/Settle", """{"Data":{"timer":{}}}""")]
    [InlineData("/Settle", """{"Data":{"timer":{},"client":"\"nonsense\""}}""")]
    [InlineData("/Settle", """{"Data":{"timer":{},"client":"\"{\\\"httpBaseUrl\\\":\\\"file:///etc\\\",\\\"requiredQueryStringParameters\\\":\\\"\\\"}\""}}""")]
    public async Task Timer_MalformedCall_IsRefusedWithALogLineAndNothingIsDone(string path, string body)
    {
        using var response = await PostAsync(path, body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("malformed_timer", await response.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        await _program.SaysAsync($"Timer {path[1..]}: the host's call was malformed and refused; nothing was done");
        Assert.Empty(_upstream.Probes);
    }

    [Fact]
    public async Task Timer_CallBeyondItsLimit_IsRefused()
    {
        using var response = await PostAsync("/HealthCheck", """{"Data":{"timer":{"x":"#"}}}""".Replace("#", new string('x', 70_000), StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("GET", "/HealthCheck")]
    [InlineData("POST", "/healthcheck")]
    [InlineData("POST", "/HealthCheck?x=1")]
    [InlineData("POST", "/HealthCheck/")]
    [InlineData("POST", "/v1/../HealthCheck")]
    [InlineData("POST", "/v1/%2e%2e/HealthCheck")]
    [InlineData("POST", "/%48ealthCheck")]
    [InlineData("POST", "http://x/HealthCheck")]
    public async Task HostPath_NotToTheLetter_IsNobodys(string method, string target)
    {
        var answer = await RawAsync($"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 404 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Readiness_TheHostsPing_IsAnswered()
    {
        using var response = await _program.SendAsync(Capture.Read("host-readiness-ping"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task OpenAi_CapturedProxiedPost_StreamsAndKeepsTheHostsHeadersFromTheBackend()
    {
        var capture = Capture.Read("http-proxied-post-sse");
        using var request = capture.ToRequest("/v1/chat/completions?code=function-key&api-version=1");
        request.Headers.TryAddWithoutValidation("x-functions-key", "function-key");
        using var response = await _program.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);

        Assert.Equal(("hello there", true), Sse.Text(await response.Content.ReadAsStringAsync(Token)));
        var sent = Assert.Single(_upstream.Requests);
        Assert.Equal("/v1/chat/completions?api-version=1", sent.Target);
        Assert.Equal(capture.Body, Encoding.UTF8.GetString(sent.Body));
        Assert.DoesNotContain(sent.Headers, header => header.Key.StartsWith("X-Azure-", StringComparison.OrdinalIgnoreCase)
            || header.Key is "X-Forwarded-Host" or "X-Forwarded-Proto" or "x-ms-invocation-id" or "x-functions-key" || header.Value.Contains("function-key", StringComparison.Ordinal));
    }

    /// <summary>What is open to callers on this machine is not open to everyone because the host is on this machine.</summary>
    [Fact]
    public async Task Stats_ProxiedWithoutKeys_AreNotOpenToTheWorld()
    {
        using var response = await _program.SendAsync(Capture.Read("http-proxied-get-sse"), "/stats");
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task Start_UnderAHost_BindsToItsPortAloneWhateverElseIsSet()
    {
        Assert.Contains($"Listening on {_program.Http.BaseAddress!.GetLeftPart(UriPartial.Authority)};", _program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("7194", _program.Output, StringComparison.Ordinal);
        using var response = await _program.Http.GetAsync("/health", Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task HostPaths_ProgramAlone_Are404()
    {
        await using var alone = await ProgramProcess.Start("", $"health_check: {{enabled: false}}\nendpoints: [{{url: '{_upstream.BaseUrl}'}}]").ListenAsync();
        foreach (var path in (string[])["/HealthCheck", "/Settle", "/BackendEntity", "/KeyEntity", "/RegistryEntity"])
        {
            using var response = await alone.Http.PostAsync(path, new StringContent(Capture.Read("timer-plain").Body, Encoding.UTF8, "application/json"), Token);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    private async Task<EntityBatchResult> EntityAsync(string path, byte[] batch)
    {
        using var response = await PostAsync(path, EntityCall.Body(batch));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return EntityCall.ResultIn(await response.Content.ReadAsStringAsync(Token), out _);
    }

    private static async Task<string> TimerAsync(HostedProgram program, Capture capture, string path)
    {
        using var response = await program.SendAsync(capture, path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var reply = JsonNode.Parse(await response.Content.ReadAsStringAsync(Token))!;
        Assert.Equal(("{}", JsonValueKind.Null), (reply["Outputs"]!.ToJsonString(), reply["ReturnValue"]?.GetValueKind() ?? JsonValueKind.Null));
        return string.Join('\n', reply["Logs"]!.AsArray().Select(line => line!.GetValue<string>()));
    }

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        _program.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"), Token);

    private async Task<string> RawAsync(string request)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _program.Http.BaseAddress!.Port, Token);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), Token);
        using var reader = new StreamReader(client.GetStream());
        return await reader.ReadToEndAsync(Token);
    }

    /// <summary>One program for all tests that leave its backends' health alone.</summary>
    public sealed class Running : IAsyncDisposable
    {
        private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        private HostedProgram? _program;

        internal async Task<(HostedProgram Program, ScriptedUpstream Upstream)> BeginAsync(PublishedApp app) => (_program ??= await StartAsync(app, _upstream), _upstream);

        internal static async Task<HostedProgram> StartAsync(PublishedApp app, ScriptedUpstream upstream) => await HostedProgram.StartAsync(
            await app.FolderAsync(), ("LLM_BACKENDS", $$"""[{"name":"a","url":"{{upstream.BaseUrl}}"}]"""), ("LOAD_BALANCE_ENABLED", "true"), ("HEALTH_CHECK_INTERVAL", "3600"));

        public async ValueTask DisposeAsync()
        {
            if (_program is not null)
            {
                await _program.DisposeAsync();
            }

            await _upstream.DisposeAsync();
        }
    }
}
