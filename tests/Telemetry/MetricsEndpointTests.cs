using System.Collections.Frozen;
using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Telemetry;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Telemetry;

public sealed class MetricsEndpointTests
{
    private const string OpenMetrics = "application/openmetrics-text";

    [Fact]
    public async Task Get_AfterTrafficAndFaults_IsTakenByPrometheus()
    {
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([good, bad], options => options with { HealthCheckEnabled = true });
        await Await.Until(() => good.Probes.Count > 0 && bad.Probes.Count > 0, "both have been probed");
        await AskAsync(host, 3);

        var text = await Scrape.OfAsync(host.Http);
        var open = await Scrape.OfAsync(host.Http, OpenMetrics);

        Assert.Equal("", await text.CheckedByPrometheusAsync());
        Assert.Null(await open.ReadByPrometheusAsync());
    }

    [Fact]
    public async Task Get_AfterSuccessesAndAFailure_CountsByBackendAndOutcome()
    {
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([good, bad]);
        await AskAsync(host, 2);

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(2, scrape["roadbalancer_requests_total{backend=\"a\",outcome=\"succeeded\"}"]);
        Assert.Equal(2, scrape["roadbalancer_attempts_total{backend=\"a\",outcome=\"succeeded\"}"]);
        Assert.Equal(1, scrape["roadbalancer_attempts_total{backend=\"b\",outcome=\"server_error\"}"]);
        Assert.Equal(1, scrape["roadbalancer_retries_total"]);
        Assert.Equal(2, scrape["roadbalancer_attempt_duration_seconds_count{backend=\"a\",result=\"succeeded\"}"]);
        Assert.Equal(1, scrape["roadbalancer_attempt_duration_seconds_count{backend=\"b\",result=\"failed\"}"]);
        Assert.Equal(2 * ScriptedChat.PromptTokens, scrape["roadbalancer_tokens_total{backend=\"a\",gen_ai_token_type=\"input\"}"]);
        Assert.Equal(2, scrape["gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"other\"}"]);
    }

    [Fact]
    public async Task Get_AfterRefusals_CountsEachByItsReason()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with
        {
            MaxBodyBytes = 2_000,
            ClientKeys = [new("team", "k-team"), new("one", "k-one") { Limits = KeyLimits.None with { RequestsPerMinute = 1 } }, new("old", "k-old") { Limits = KeyLimits.None with { Expires = DateTimeOffset.UnixEpoch } }],
        }, (_, backend) => backend with { ModelName = "m" });
        var (team, one) = (("Authorization", "Bearer k-team"), ("Authorization", "Bearer k-one"));

        await AnsweredAsync(host, HttpStatusCode.Unauthorized, "/v1/chat/completions", "{}");
        await AnsweredAsync(host, HttpStatusCode.Unauthorized, "/v1/chat/completions", "{}", ("Authorization", "Bearer k-wrong"));
        await AnsweredAsync(host, HttpStatusCode.Unauthorized, "/v1/chat/completions", "{}", ("Authorization", "Bearer k-old"));
        await AnsweredAsync(host, HttpStatusCode.BadRequest, "/v1/chat/completions", "{", team);
        await AnsweredAsync(host, HttpStatusCode.RequestEntityTooLarge, "/v1/chat/completions", new string(' ', 3_000), team);
        await AnsweredAsync(host, HttpStatusCode.NotFound, "/v1/%252e%252e/x", "{}", team);
        await AnsweredAsync(host, HttpStatusCode.NotFound, "/chat/completions", "{}", team);
        await AnsweredAsync(host, HttpStatusCode.BadRequest, "/v1/chat/completions", BalancerHost.ChatJson(), team, ("X-Backend-Tags", "absent"));
        await AnsweredAsync(host, HttpStatusCode.OK, "/v1/chat/completions", BalancerHost.ChatJson(), one);
        await AnsweredAsync(host, HttpStatusCode.TooManyRequests, "/v1/chat/completions", BalancerHost.ChatJson(), one);

        host.Http.DefaultRequestHeaders.Add("Authorization", "Bearer k-team");
        var scrape = await Scrape.OfAsync(host.Http);
        foreach (var (reason, count) in new[]
        {
            ("invalid_api_key", 2), ("api_key_expired", 1), ("invalid_request", 1), ("request_too_large", 1), ("unknown_url", 2),
            ("no_backend_with_tags", 1), ("key_limited", 1),
        })
        {
            Assert.True(scrape[$"roadbalancer_refusals_total{{reason=\"{reason}\"}}"] == count, $"{reason} is not {count}");
        }

        Assert.Equal(2, scrape["roadbalancer_requests_total{outcome=\"refused\"}"]);
        Assert.Equal("", await scrape.CheckedByPrometheusAsync());
    }

    [Fact]
    public async Task Get_NoBackendForTheRequest_TellsWhy()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with { Enabled = false });

        await AnsweredAsync(host, HttpStatusCode.ServiceUnavailable, "/v1/chat/completions", BalancerHost.ChatJson());
        using var models = await host.Http.GetAsync("/v1/models", TestContext.Current.CancellationToken);

        Assert.Equal(2, (await Scrape.OfAsync(host.Http))["roadbalancer_refusals_total{reason=\"no_healthy_backend\"}"]);
    }

    [Fact]
    public async Task Get_WhileARequestRuns_ShowsItAgainstTheLimit()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with { MaxConnections = 7 });
        using var leave = new CancellationTokenSource();
        var running = host.Http.PostAsync("/v1/chat/completions", new StringContent(BalancerHost.ChatJson()), leave.Token);
        await Await.Until(() => upstream.Requests.Count == 1, "the request is under way");

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(1, scrape["roadbalancer_backend_in_flight{backend=\"a\"}"]);
        Assert.Equal(7, scrape["roadbalancer_backend_limit{backend=\"a\"}"]);
        Assert.Equal(1, scrape["roadbalancer_backend_circuit{backend=\"a\",state=\"closed\"}"]);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task Get_ClientLeftWhileItWaitedForAPlace_IsCounted()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Hang);
        await using var host = await BalancerHost.StartAsync(
            [upstream], options => options with { MaxQueueWait = TimeSpan.FromSeconds(100) }, (_, backend) => backend with { MaxConnections = 1 });
        using var leave = new CancellationTokenSource();
        var running = host.Http.PostAsync("/v1/chat/completions", new StringContent(BalancerHost.ChatJson()), CancellationToken.None);
        await Await.Until(() => upstream.Requests.Count == 1, "the place is taken");
        var waiting = host.Http.PostAsync("/v1/chat/completions", new StringContent(BalancerHost.ChatJson()), leave.Token);
        await Await.Until(() => host.Service<WaitQueue>().Waiting == 1, "the second waits");

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await Await.Until(() => host.Log.Has("ended as client_left"), "the request is reported");

        var scrape = await Scrape.OfAsync(host.Http);
        Assert.Equal(1, scrape["roadbalancer_requests_total{outcome=\"client_left\"}"]);
        Assert.False(running.IsCompleted);
    }

    [Fact]
    public async Task Get_BackendOut_ShowsCircuitCooldownAndIllness()
    {
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([bad], options => options with { FailureThreshold = 1, Cooldown = TimeSpan.FromSeconds(60), RetryCount = 0 });
        using var answer = await host.ChatAsync();

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(1, scrape["roadbalancer_backend_circuit{backend=\"a\",state=\"open\"}"]);
        Assert.Equal(0, scrape["roadbalancer_backend_circuit{backend=\"a\",state=\"closed\"}"]);
        Assert.Equal(0, scrape["roadbalancer_backend_healthy{backend=\"a\"}"]);
        Assert.Equal(1, scrape["roadbalancer_backend_trips_total{backend=\"a\"}"]);
        Assert.InRange(scrape["roadbalancer_backend_cooldown_seconds{backend=\"a\"}"]!.Value, 1, 80);
    }

    [Fact]
    public async Task Get_StreamWithUsage_HasFirstTokenAndTimePerToken()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("one two three four"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        using var answer = await host.PostAsync("/v1/chat/completions",
            """{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hello"}]}""");
        await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        await Await.Until(() => host.Log.Has("ended as succeeded"), "the request is reported");

        var scrape = await Scrape.OfAsync(host.Http);

        const string Labels = "{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"other\"}";
        Assert.Equal(1, scrape["gen_ai_server_time_to_first_token_seconds_count" + Labels]);
        Assert.Equal(1, scrape["gen_ai_server_time_per_output_token_seconds_count" + Labels]);
        Assert.Equal(1, scrape["roadbalancer_attempt_time_to_first_token_seconds_count{backend=\"a\"}"]);
        Assert.Equal(1, scrape["roadbalancer_attempt_time_per_output_token_seconds_count{backend=\"a\"}"]);
    }

    [Fact]
    public async Task Get_ModelsThatClientsMakeUp_ShareOneSeries()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with
        {
            Models = new Dictionary<string, string> { ["configured"] = "own" }.ToFrozenDictionary(),
        });
        using (await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: "configured")))
        {
        }

        for (var request = 0; request < 20; request++)
        {
            using var answer = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: $"made-up-{request}"));
        }

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(["configured", SeriesMap.OtherModel], scrape.ValuesOf("gen_ai_request_model").Order());
        Assert.Equal(20, scrape["roadbalancer_requests_total{outcome=\"refused\"}"]);
    }

    [Fact]
    public async Task Get_MoreModelsThanAreToldApart_CountsTheRestTogether()
    {
        var models = Enumerable.Range(0, SeriesMap.MostModels + 20).Select(number => $"model-{number}").ToArray();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with
        {
            Models = models.ToFrozenDictionary(model => model, model => model),
        });
        foreach (var model in models)
        {
            using var answer = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: model));
        }

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(SeriesMap.MostModels + 1, scrape.ValuesOf("gen_ai_request_model").Count);
        Assert.Equal(20, scrape["gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"other\"}"]);
    }

    [Fact]
    public async Task Get_BackendRemoved_ForgetsItsSeriesAndKeepsTheOthers()
    {
        await using var first = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var second = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([first, second]);
        await AskAsync(host, 4);
        Assert.Equal(["a", "b"], (await Scrape.OfAsync(host.Http)).ValuesOf("backend").Order());

        host.Pools.Swap(host.Pools.Current.Options with { Backends = [host.Pools.Current.Backends[0]] });
        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(["a"], scrape.ValuesOf("backend"));
        Assert.Equal(2, scrape["roadbalancer_requests_total{backend=\"a\",outcome=\"succeeded\"}"]);
    }

    [Fact]
    public async Task Get_NamesWithQuotesAndLines_AreEscaped()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream], shape: (_, backend) => backend with
        {
            Models = new Dictionary<string, string> { ["a \"b\" \\ c\nd é"] = "own" }.ToFrozenDictionary(),
        });
        using var answer = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: "a \\\"b\\\" \\\\ c\\nd é"));

        var text = await Scrape.OfAsync(host.Http);
        var open = await Scrape.OfAsync(host.Http, OpenMetrics);

        Assert.Contains("gen_ai_request_model=\"a \\\"b\\\" \\\\ c\\nd é\"", text.Text, StringComparison.Ordinal);
        Assert.Equal("", await text.CheckedByPrometheusAsync());
        Assert.Null(await open.ReadByPrometheusAsync());
    }

    [Fact]
    public async Task Get_OpenMetrics_HasUnitsAndAnEndAndFamiliesWithoutTotal()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        await AskAsync(host, 1);

        var scrape = await Scrape.OfAsync(host.Http, OpenMetrics);

        Assert.EndsWith("# EOF\n", scrape.Text, StringComparison.Ordinal);
        Assert.Contains("# TYPE roadbalancer_requests counter\n", scrape.Text, StringComparison.Ordinal);
        Assert.Contains("# UNIT gen_ai_server_request_duration_seconds seconds\n", scrape.Text, StringComparison.Ordinal);
        Assert.Contains(",le=\"1.28\"} ", scrape.Text, StringComparison.Ordinal);
        Assert.Equal(1, scrape["roadbalancer_requests_total{backend=\"a\",outcome=\"succeeded\"}"]);
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("*/*", false)]
    [InlineData("text/plain;version=0.0.4", false)]
    [InlineData("application/openmetrics-text", true)]
    [InlineData("application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true)]
    [InlineData("application/openmetrics-text;version=0.0.1,text/plain;q=0.5", false)]
    [InlineData("application/openmetrics-text;q=0.2,text/plain;q=0.5", false)]
    [InlineData("application/openmetrics-text;q=0", false)]
    [InlineData("not a type at all", false)]
    public void PrefersOpenMetrics_Accept_DecidesByQuality(string? accept, bool expected) => Assert.Equal(expected, MetricsEndpoint.PrefersOpenMetrics(accept));

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/stats")]
    public async Task Get_WithClientKeys_AsksForOneAndTellsNoSecret(string path)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync(
            [upstream], options => options with { ClientKeys = [new ClientKey("team", "k-secret")] }, (_, backend) => backend with { ApiKey = "b-secret", Query = "key=q-secret" });
        using (await host.ChatAsync(false, ("Authorization", "Bearer k-secret")))
        {
        }

        using var without = await host.Http.GetAsync(path, TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer k-secret");
        using var with = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, without.StatusCode);
        Assert.Equal(HttpStatusCode.OK, with.StatusCode);
        Assert.DoesNotContain("-secret", await with.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/metrics", "X-Forwarded-For")]
    [InlineData("/metrics", "X-Forwarded-Host")]
    [InlineData("/stats", "Forwarded")]
    public async Task Get_WithoutKeysThroughAProxy_IsRefused(string path, string header)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation(header, "example.org");

        using var answer = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("ROADBALANCER_API_KEYS", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_WithRedis_TimesItsCallsAndSaysThatItServes()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with { Redis = Roadbalancer.Redis.RedisAddress.Parse(redis.Connection, out _) });
        await Await.Until(() => host.Log.Has("Redis serves"), "Redis serves", TimeSpan.FromSeconds(20));
        await AskAsync(host, 1);

        var scrape = await Scrape.OfAsync(host.Http);

        Assert.Equal(0, scrape["roadbalancer_state_fallback"]);
        Assert.InRange(scrape["db_client_operation_duration_seconds_count{db_system_name=\"redis\",db_operation_name=\"EVALSHA\",db_stored_procedure_name=\"acquire\"}"] ?? -1, 1, 10);
    }

    private static async Task AnsweredAsync(BalancerHost host, HttpStatusCode status, string path, string body, params (string Name, string Value)[] headers)
    {
        using var answer = await host.PostAsync(path, body, headers);
        Assert.True(answer.StatusCode == status, $"{path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}");
    }

    private static async Task AskAsync(BalancerHost host, int requests)
    {
        for (var request = 0; request < requests; request++)
        {
            using var answer = await host.ChatAsync();
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }
}
