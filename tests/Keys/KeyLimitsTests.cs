using System.Globalization;
using System.Net;
using System.Text.Json;
using Roadbalancer.Options;
using Roadbalancer.State;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

/// <summary>Client keys with limits, from the request to the answer.</summary>
public sealed class KeyLimitsTests : IAsyncLifetime
{
    private const string Secret = "rb-Zq7Xw93Kf5TnB1";

    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("one two three"));
    private BalancerHost? _host;

    private BalancerHost Host => _host!;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }

        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task Chat_RequestsUsedUp_Gets429InOpenAIsShapeWithEveryHeader()
    {
        await StartAsync(new KeyLimits { RequestsPerMinute = 2 });
        using var first = await ChatAsync();
        Assert.Equal(("2", "1"), (Header(first, "x-ratelimit-limit-requests"), Header(first, "x-ratelimit-remaining-requests")));
        Assert.Matches("^1m(0|1|0[.][0-9]{1,3})s$", Header(first, "x-ratelimit-reset-requests"));
        Assert.False(first.Headers.Contains("x-ratelimit-limit-tokens"));
        using var second = await ChatAsync();
        Assert.Equal("0", Header(second, "x-ratelimit-remaining-requests"));

        using var refused = await ChatAsync();
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(("2", "0"), (Header(refused, "x-ratelimit-limit-requests"), Header(refused, "x-ratelimit-remaining-requests")));
        Assert.InRange(int.Parse(Header(refused, "Retry-After"), CultureInfo.InvariantCulture), 55, 61);
        Assert.NotEmpty(Header(refused, "X-Request-Id"));
        var error = await ErrorAsync(refused);
        Assert.Equal(("requests", "rate_limit_exceeded"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.StartsWith("Rate limit reached for key `team` on requests per min (RPM): Limit 2, Used 2, Requested 1. Please try again in ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(2, _upstream.Requests.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Chat_TokensReserved_AreSettledWithTheReportedUsage(bool stream)
    {
        await StartAsync(new KeyLimits { TokensPerMinute = 300 });
        using (var first = await PostAsync($$"""{"model":"m","stream":{{(stream ? "true" : "false")}},"stream_options":{"include_usage":true},"max_tokens":200,"messages":[{"role":"user","content":"hello"}]}"""))
        {
            await first.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal("300", Header(first, "x-ratelimit-limit-tokens"));
            Assert.InRange(int.Parse(Header(first, "x-ratelimit-remaining-tokens"), CultureInfo.InvariantCulture), 60, 99);
            Assert.EndsWith("s", Header(first, "x-ratelimit-reset-tokens"), StringComparison.Ordinal);
            Assert.False(first.Headers.Contains("x-ratelimit-limit-requests"));
        }

        // 7 of the prompt and 3 of the answer have been used.
        Assert.Equal(10, await UsedTokensAsync());
    }

    [Fact]
    public async Task Chat_StreamWithoutUsage_IsChargedWhatWasSent()
    {
        await StartAsync(new KeyLimits { TokensPerMinute = 5_000 });
        using (var first = await PostAsync("""{"model":"m","stream":true,"max_tokens":4000,"messages":[{"role":"user","content":"hello"}]}"""))
        {
            await first.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }

        // Three words, an event each; the prompt by its letters.
        Assert.InRange(await UsedTokensAsync(), 15, 40);
    }

    [Fact]
    public async Task Chat_WholeAnswerWithoutUsage_IsChargedByItsLength()
    {
        await StartAsync(new KeyLimits { TokensPerMinute = 5_000 });
        _upstream.Script = Scripts.Respond(200, $$$"""{"choices":[{"message":{"content":"{{{new string('x', 400)}}}"}}]}""");
        using var first = await PostAsync("""{"model":"m","max_tokens":4000,"messages":[]}""");
        Assert.InRange(await UsedTokensAsync(), 100, 140);
    }

    [Fact]
    public async Task Chat_EveryBackendFails_CostsNoTokens()
    {
        await StartAsync(new KeyLimits { TokensPerMinute = 5_000 });
        _upstream.Script = Scripts.Status(400);
        using var failed = await PostAsync("""{"model":"m","max_tokens":4000,"messages":[]}""");
        Assert.Equal(HttpStatusCode.BadRequest, failed.StatusCode);
        Assert.Equal("5000", Header(failed, "x-ratelimit-limit-tokens"));
        Assert.Equal(0, await UsedTokensAsync());
    }

    [Fact]
    public async Task Chat_TokensUsedUpOrTooLarge_Gets429()
    {
        await StartAsync(new KeyLimits { TokensPerMinute = 1_000 });
        using var large = await PostAsync("""{"model":"m","max_completion_tokens":500,"n":2,"messages":[]}""");
        var error = await ErrorAsync(large);
        Assert.Equal((HttpStatusCode.TooManyRequests, "tokens", "rate_limit_exceeded", "false"), (large.StatusCode, error.GetProperty("type").GetString(), error.GetProperty("code").GetString(), Header(large, "x-should-retry")));
        Assert.False(large.Headers.Contains("Retry-After"));

        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Script = Scripts.After(gate.Task, Scripts.Chat("ok"));
        var held = PostAsync("""{"model":"m","max_tokens":900,"messages":[]}""");
        await Await.Until(() => _upstream.Requests.Count == 1, "the first is under way");
        using var refused = await PostAsync("""{"model":"m","max_tokens":200,"messages":[]}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.StartsWith("Rate limit reached for key `team` on tokens per min (TPM): Limit 1000, Used 9", (await ErrorAsync(refused)).GetProperty("message").GetString(), StringComparison.Ordinal);
        gate.SetResult();
        Assert.Equal(HttpStatusCode.OK, (await held).StatusCode);
        await SettledAsync();
        using var later = await PostAsync("""{"model":"m","max_tokens":200,"messages":[]}""");
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task Chat_NoMaximumNamed_ReservesTheBackendsOwnDefault()
    {
        _host = await BalancerHost.StartAsync([_upstream], options => options with { ClientKeys = [Key(new KeyLimits { TokensPerMinute = 10_000 })] }, (_, backend) => backend with { MaxTokens = 7_000 });
        using var answer = await PostAsync("""{"model":"m","messages":[]}""");
        Assert.InRange(int.Parse(Header(answer, "x-ratelimit-remaining-tokens"), CultureInfo.InvariantCulture), 2_900, 3_000);
    }

    [Fact]
    public async Task Chat_RequestWaitsForABackend_HoldsItsPlace()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Script = Scripts.After(gate.Task, Scripts.Chat("ok"));
        _host = await BalancerHost.StartAsync(
            [_upstream], options => options with { ClientKeys = [Key(new KeyLimits { MaxConcurrency = 2 })], MaxQueueWait = TimeSpan.FromSeconds(30) }, (_, backend) => backend with { MaxConnections = 1 });
        Task<HttpResponseMessage>[] two = [ChatAsync(), ChatAsync()];
        await Await.Until(() => _upstream.Requests.Count == 1 && Host.Service<Roadbalancer.Proxy.WaitQueue>().Waiting == 1, "one is served and one waits");

        using var refused = await ChatAsync();
        Assert.Equal((HttpStatusCode.TooManyRequests, "1"), (refused.StatusCode, Header(refused, "Retry-After")));
        Assert.Contains("2 requests at the same time", (await ErrorAsync(refused)).GetProperty("message").GetString(), StringComparison.Ordinal);
        gate.SetResult();
        Assert.All(await Task.WhenAll(two), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        await SettledAsync();
        using var later = await ChatAsync();
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task Chat_ClientLeaves_ItsPlaceComesFree()
    {
        _upstream.Script = Scripts.Hang;
        await StartAsync(new KeyLimits { MaxConcurrency = 1 });
        using var leaving = new CancellationTokenSource();
        var request = Message("/v1/chat/completions", BalancerHost.ChatJson());
        var asking = Host.Http.SendAsync(request, leaving.Token);
        await Await.Until(() => _upstream.Requests.Count == 1, "it is under way");
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
        await SettledAsync();
        _upstream.Script = Scripts.Chat("ok");
        using var next = await ChatAsync();
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Fact]
    public async Task Chat_SixtyFourAtOnce_NeverOvershootAndTheBackendSeesOnlyTheAdmitted()
    {
        await StartAsync(new KeyLimits { RequestsPerMinute = 10, TokensPerMinute = 100_000 });
        var answers = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => ChatAsync()));
        Assert.Equal(10, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        Assert.Equal(54, answers.Count(answer => answer.StatusCode == HttpStatusCode.TooManyRequests));
        Assert.Equal(10, _upstream.Requests.Count);
    }

    [Fact]
    public async Task Chat_OneBackendWithoutBalancing_KeepsTheLimitsToo()
    {
        _host = await BalancerHost.StartAsync([_upstream], options => options with { ClientKeys = [Key(new KeyLimits { RequestsPerMinute = 1 })], Mode = BalancingMode.SingleBackend });
        using var first = await ChatAsync();
        using var second = await ChatAsync();
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode));
        Assert.Equal("0", Header(first, "x-ratelimit-remaining-requests"));
    }

    [Fact]
    public async Task Chat_BackendTellsLimitsOfItsOwn_AreNotTakenForTheKeys()
    {
        _upstream.Script = Scripts.Respond(200, ScriptedChat.Body("hi"), ("x-ratelimit-remaining-requests", "77"), ("x-ratelimit-remaining-tokens", "78"));
        _host = await BalancerHost.StartAsync([_upstream], options => options with { ClientKeys = [Key(new KeyLimits { RequestsPerMinute = 5 }), new ClientKey("free", "free-key")] });
        using var limited = await ChatAsync();
        using var free = await ChatAsync("free-key");
        Assert.Equal(("4", false), (Header(limited, "x-ratelimit-remaining-requests"), limited.Headers.Contains("x-ratelimit-remaining-tokens")));
        Assert.Equal(("77", "78"), (Header(free, "x-ratelimit-remaining-requests"), Header(free, "x-ratelimit-remaining-tokens")));
    }

    [Fact]
    public async Task Any_ExpiredKey_Gets401ThatSaysSo()
    {
        await StartAsync(new KeyLimits { Expires = new DateTimeOffset(2020, 1, 2, 3, 4, 5, TimeSpan.Zero) });
        foreach (var path in new[] { "/v1/models", "/stats" })
        {
            using var refused = await GetAsync(path);
            var error = await ErrorAsync(refused);
            Assert.Equal((HttpStatusCode.Unauthorized, "api_key_expired"), (refused.StatusCode, error.GetProperty("code").GetString()));
            Assert.Equal("The API key `team` expired on 2020-01-02T03:04:05Z.", error.GetProperty("message").GetString());
        }

        using var chat = await ChatAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, chat.StatusCode);
        Assert.Empty(_upstream.Requests);
    }

    [Theory]
    [InlineData("gpt-4o", HttpStatusCode.OK, null)]
    [InlineData("llama-3-70b", HttpStatusCode.OK, null)]
    [InlineData("gpt-4", HttpStatusCode.Forbidden, "model_not_found")]
    [InlineData("GPT-4o", HttpStatusCode.Forbidden, "model_not_found")]
    [InlineData("", HttpStatusCode.Forbidden, "model_not_found")]
    [InlineData(null, HttpStatusCode.Forbidden, "model_required")]
    public async Task Chat_KeyForCertainModels_OthersAreForbidden(string? model, HttpStatusCode expected, string? code)
    {
        await StartAsync(new KeyLimits { Models = ["gpt-4o", "llama-*"] });
        using var answer = await PostAsync(model is null ? """{"messages":[]}""" : BalancerHost.ChatJson(model: model));
        Assert.Equal(expected, answer.StatusCode);
        Assert.Equal(code is null ? 1 : 0, _upstream.Requests.Count);
        if (code is not null)
        {
            var error = await ErrorAsync(answer);
            Assert.Equal((code, "invalid_request_error"), (error.GetProperty("code").GetString(), error.GetProperty("type").GetString()));
        }
    }

    [Fact]
    public async Task Models_KeyForCertainModelsAndTags_ListsOnlyThose()
    {
        await using var other = ScriptedUpstream.Start(Scripts.Chat("other"));
        _upstream.ProbeScript = Scripts.Models("gpt-4o", "gpt-4");
        other.ProbeScript = Scripts.Models("llama-3", "gpt-4o-mini");
        _host = await BalancerHost.StartAsync(
            [_upstream, other],
            options => options with
            {
                ClientKeys = [Key(new KeyLimits { Models = ["gpt-4o*"] }), new ClientKey("eu", "eu-key") { Limits = new KeyLimits { Tags = ["eu"] } }, new ClientKey("all", "all-key")],
            },
            (index, backend) => index == 1 ? backend with { Tags = System.Collections.Frozen.FrozenSet.Create(StringComparer.Ordinal, "eu") } : backend);

        Assert.Equal(["gpt-4o", "gpt-4o-mini"], await ModelsAsync(Secret));
        Assert.Equal(["gpt-4o-mini", "llama-3"], await ModelsAsync("eu-key"));
        Assert.Equal(["gpt-4", "gpt-4o", "gpt-4o-mini", "llama-3"], await ModelsAsync("all-key"));
        using var hidden = await GetAsync("/v1/models/gpt-4");
        using var shown = await GetAsync("/v1/models/gpt-4o");
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.OK), (hidden.StatusCode, shown.StatusCode));
    }

    [Fact]
    public async Task Chat_KeyForCertainTags_UsesOnlyBackendsThatCarryOne()
    {
        await using var other = ScriptedUpstream.Start(Scripts.Status(500));
        _host = await BalancerHost.StartAsync(
            [_upstream, other],
            options => options with { ClientKeys = [Key(new KeyLimits { Tags = ["eu", "lab"] })], PanicMode = true },
            (index, backend) => backend with { Tags = System.Collections.Frozen.FrozenSet.Create(StringComparer.Ordinal, index == 0 ? "us" : "eu") });
        for (var i = 0; i < 4; i++)
        {
            using var answer = await ChatAsync();
            Assert.NotEqual(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Empty(_upstream.Requests);
        using var elsewhere = await PostAsync(BalancerHost.ChatJson(), Secret, ("X-Backend-Tags", "us"));
        Assert.Equal((HttpStatusCode.Forbidden, "backend_not_permitted"), (elsewhere.StatusCode, (await ErrorAsync(elsewhere)).GetProperty("code").GetString()));
        using var nowhere = await PostAsync(BalancerHost.ChatJson(), Secret, ("X-Backend-Tags", "moon"));
        Assert.Equal(HttpStatusCode.BadRequest, nowhere.StatusCode);
    }

    [Fact]
    public async Task Stats_AKey_SeesItselfAndADebugKeyAll()
    {
        _host = await BalancerHost.StartAsync(
            [_upstream], options => options with { ClientKeys = [Key(new KeyLimits { RequestsPerMinute = 1, Models = ["m"], Expires = DateTimeOffset.UnixEpoch.AddYears(900) }), new ClientKey("ops", "ops-key")], DebugKeys = ["ops"] });
        using var one = await ChatAsync();
        using var refused = await ChatAsync();
        using var other = await ChatAsync("ops-key");
        await Await.Until(() => Host.Service<Roadbalancer.Keys.KeyUsage>().Of("ops").Counts.Requests == 1, "it is counted");

        var mine = Assert.Single(await KeysAsync(Secret));
        Assert.Equal(("team", 1, 1, 7, 3), (mine.GetProperty("name").GetString(), mine.GetProperty("requests").GetInt32(), mine.GetProperty("refusals").GetInt32(), mine.GetProperty("input_tokens").GetInt32(), mine.GetProperty("output_tokens").GetInt32()));
        Assert.Equal(1, mine.GetProperty("limits").GetProperty("requests_per_minute").GetInt32());
        var listed = (await Host.DoAsync("GET", "/keys")).Data.GetProperty("keys")[0];
        Assert.All(mine.GetProperty("limits").EnumerateObject(), limit => Assert.Equal(listed.GetProperty(limit.Name).GetRawText(), limit.Value.GetRawText()));
        Assert.Equal(["team", "ops"], (await KeysAsync("ops-key")).Select(key => key.GetProperty("name").GetString()));
    }

    [Fact]
    public async Task Chat_ConsistencyRelaxed_LimitsAreKeptAndTheStateIsShared()
    {
        await using var redis = await RedisServer.StartAsync();
        _host = await BalancerHost.StartAsync([_upstream], options => options with
        {
            ClientKeys = [Key(new KeyLimits { RequestsPerMinute = 1 })],
            Consistency = Consistency.Relaxed,
            Redis = Roadbalancer.Redis.RedisAddress.Parse(redis.Connection, out _),
        });
        await Await.Until(() => Host.Service<IServiceProvider>().FallenBack()?.Invoke() == false, "Redis serves");

        using var first = await ChatAsync();
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        using var refused = await ChatAsync();
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        using var status = await GetAsync("/api/v1/load_balancer/status");
        Assert.Contains("\"shared_state\":\"redis\"", await status.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secrets_LimitsRefuse_AreInNoAnswerAndNoLog()
    {
        await StartAsync(new KeyLimits { RequestsPerMinute = 1, Models = ["m"] });
        var said = new System.Text.StringBuilder();
        foreach (var model in new[] { "m", "m", "x" })
        {
            using var answer = await PostAsync(BalancerHost.ChatJson(model: model));
            said.Append(answer.Headers).Append(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        using var stats = await GetAsync("/stats");
        said.Append(await stats.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).AppendJoin('\n', Host.Log.Lines);
        Assert.DoesNotContain(Secret, said.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(ClientKey.HashOf(Secret), said.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.True(Host.Log.Has("refused to client key team: rate_limit_exceeded"));
    }

    private static ClientKey Key(KeyLimits limits) => new("team", Secret) { Limits = limits };

    private static string Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(",", values) : "";

    private static async Task<JsonElement> ErrorAsync(HttpResponseMessage answer) =>
        JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("error");

    private static HttpRequestMessage Message(string path, string? json, string secret = Secret)
    {
        var request = new HttpRequestMessage(json is null ? HttpMethod.Get : HttpMethod.Post, path);
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + secret);
        request.Content = json is null ? null : new StringContent(json, System.Text.Encoding.UTF8, "application/json");
        return request;
    }

    private async Task StartAsync(KeyLimits limits) => _host = await BalancerHost.StartAsync([_upstream], options => options with { ClientKeys = [Key(limits)] });

    private Task<HttpResponseMessage> PostAsync(string json, string secret = Secret, params (string Name, string Value)[] headers) =>
        Host.PostAsync("/v1/chat/completions", json, [("Authorization", "Bearer " + secret), .. headers]);

    private Task<HttpResponseMessage> ChatAsync(string secret = Secret) => PostAsync(BalancerHost.ChatJson(), secret);

    private Task<HttpResponseMessage> GetAsync(string path, string secret = Secret) => Host.Http.SendAsync(Message(path, null, secret), TestContext.Current.CancellationToken);

    /// <summary>What counts of the key's tokens once all is settled, as the next answer tells it.</summary>
    private async Task<long> UsedTokensAsync()
    {
        await SettledAsync();
        _upstream.Script = Scripts.Chat("ok");
        using var next = await PostAsync("""{"max_tokens":0}""");
        return long.Parse(Header(next, "x-ratelimit-limit-tokens"), CultureInfo.InvariantCulture)
            - long.Parse(Header(next, "x-ratelimit-remaining-tokens"), CultureInfo.InvariantCulture) - 4;
    }

    /// <summary>Every request that was let in has been counted: what comes after the answer is over.</summary>
    private Task SettledAsync() => Await.Until(
        () => Host.Service<Roadbalancer.Keys.KeyUsage>().Of("team").Counts.Requests == _upstream.Requests.Count, "all is settled");

    private async Task<List<JsonElement>> KeysAsync(string secret)
    {
        using var stats = await GetAsync("/stats", secret);
        return [.. JsonDocument.Parse(await stats.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("keys").EnumerateArray()];
    }

    private async Task<List<string>> ModelsAsync(string secret)
    {
        using var answer = await GetAsync("/v1/models", secret);
        return [.. JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("data").EnumerateArray()
            .Select(model => model.GetProperty("id").GetString()!).Order(StringComparer.Ordinal)];
    }
}
