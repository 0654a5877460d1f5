using System.Net;
using System.Text.Json;
using Roadbalancer.Backends;
using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

/// <summary>Client keys that are made, changed and taken away by the management API while the balancer runs.</summary>
public sealed class KeyChangesTests
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    [Fact]
    public async Task Post_OpenBalancer_ClosesItAndTheSecretIsToldOnce()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        var made = await CallAsync(host, "POST", "/keys", """{"name":"team","requests_per_minute":1,"models":["m"],"expires":"2999-01-01"}""");

        var data = made.Json.GetProperty("data");
        var (secret, key) = (data.GetProperty("secret").GetString()!, data.GetProperty("key"));
        Assert.Equal((201, "/api/v1/load_balancer/keys/team", "everywhere"), (made.Status, made.Location, data.GetProperty("in_force").GetString()));
        Assert.Matches("^rb-[A-Za-z0-9_-]{43}$", secret);
        Assert.Equal(("added", 1, "2999-01-01T00:00:00.000Z", false), (key.GetProperty("source").GetString(), key.GetProperty("requests_per_minute").GetInt32(), key.GetProperty("expires").GetString(), key.GetProperty("expired").GetBoolean()));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, null));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, secret));
        Assert.Equal(HttpStatusCode.TooManyRequests, await AskAsync(host, secret));

        var listed = await CallAsync(host, "GET", "/keys");
        var usage = listed.Json.GetProperty("data").GetProperty("keys")[0].GetProperty("usage");
        Assert.Equal((1, 1), (usage.GetProperty("requests").GetInt32(), usage.GetProperty("refusals").GetInt32()));
        var said = listed.Json.GetRawText() + host.Pools.Edits.ToJson() + string.Join('\n', host.Log.Lines);
        Assert.DoesNotContain(secret[3..], said, StringComparison.Ordinal);
        Assert.DoesNotContain(ClientKey.HashOf(secret), listed.Json.GetRawText() + string.Join('\n', host.Log.Lines), StringComparison.OrdinalIgnoreCase);
        Assert.True(host.Log.Has("keys_changed"));
    }

    [Theory]
    [InlineData("""{"name":"TEAM"}""", 409, "name_taken", null)]
    [InlineData("{}", 400, "invalid_field", "name")]
    [InlineData("""{"name":"a b"}""", 400, "invalid_field", "name")]
    [InlineData("""{"name":"*"}""", 400, "invalid_field", "name")]
    [InlineData("""{"name":["x"]}""", 400, "invalid_field", "name")]
    [InlineData("""{"name":"x","requests_per_minute":0}""", 400, "invalid_field", "requests_per_minute")]
    [InlineData("""{"name":"x","tokens_per_minute":"many"}""", 400, "invalid_field", "tokens_per_minute")]
    [InlineData("""{"name":"x","max_concurrency":-1}""", 400, "invalid_field", "max_concurrency")]
    [InlineData("""{"name":"x","expires":"soon"}""", 400, "invalid_field", "expires")]
    [InlineData("""{"name":"x","models":["a*b"]}""", 400, "invalid_field", "models[0]")]
    [InlineData("""{"name":"x","tags":{"a":1}}""", 400, "invalid_field", "tags")]
    [InlineData("""{"name":"x","key":"mine"}""", 400, "invalid_field", "key")]
    [InlineData("[1]", 400, "invalid_json", null)]
    public async Task Post_WrongField_IsNamedAndNothingChanges(string body, int status, string code, string? field)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        var reply = await CallAsync(host, "POST", "/keys", body);
        var error = reply.Json.GetProperty("error");
        Assert.Equal((status, code, field), (reply.Status, error.GetProperty("code").GetString(), error.TryGetProperty("field", out var named) ? named.GetString() : null));
        Assert.Equal(0, host.Pools.Edits.Version);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, "configured"));
    }

    [Fact]
    public async Task Patch_ConfiguredKey_NewLimitsAndTheConfiguredSecret()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        var changed = await CallAsync(host, "PATCH", "/keys/Team", """{"models":["x"],"max_concurrency":3}""");
        Assert.Equal((200, "team", "changed"), (changed.Status, changed.Json.GetProperty("data").GetProperty("key").GetProperty("name").GetString(), changed.Json.GetProperty("data").GetProperty("key").GetProperty("source").GetString()));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(host, "configured"));

        // A secret that is changed in the configuration is in force at once, under the limits made here.
        host.Pools.Swap(host.Pools.Configured with { ClientKeys = [new ClientKey("team", "rotated")] });
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, "configured"));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(host, "rotated"));

        Assert.Equal(200, (await CallAsync(host, "PATCH", "/keys/team", """{"models":null}""")).Status);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, "rotated"));
        Assert.Equal(3, host.Pools.Current.Keys.Named("team")!.Limits.MaxConcurrency);
        Assert.Equal((400, "invalid_field"), Told(await CallAsync(host, "PATCH", "/keys/team", """{"max_concurrency":0}""")));
        Assert.Equal((400, "invalid_field"), Told(await CallAsync(host, "PATCH", "/keys/team", """{"name":"other"}""")));
        Assert.Equal((400, "invalid_json"), Told(await CallAsync(host, "PATCH", "/keys/team", "{}")));
        Assert.Equal((404, "key_not_found"), Told(await CallAsync(host, "PATCH", "/keys/nobody", """{"models":null}""")));
    }

    [Fact]
    public async Task Delete_AnyKey_IsRefusedAtOnceAndTheLastOneStays()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        Assert.Equal((409, "last_key"), Told(await CallAsync(host, "DELETE", "/keys/team")));
        var made = await CallAsync(host, "POST", "/keys", """{"name":"other"}""");
        var removed = await CallAsync(host, "DELETE", "/keys/team");
        Assert.Equal((200, JsonValueKind.Null), (removed.Status, removed.Json.GetProperty("data").GetProperty("key").ValueKind));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, "configured"));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(host, made.Json.GetProperty("data").GetProperty("secret").GetString()));
        Assert.Equal("team", (await CallAsync(host, "GET", "/keys")).Json.GetProperty("data").GetProperty("removed")[0].GetString());
        Assert.Equal((404, "key_not_found"), Told(await CallAsync(host, "DELETE", "/keys/team")));
        var last = await CallAsync(host, "DELETE", "/keys/other");
        Assert.Equal((409, "last_key"), Told(last));
        Assert.Contains("without it nobody could call; add another first (POST /keys)", last.Json.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Delete_LastKeyOfABalancerThatWasOpen_SaysThatItWouldBeOpenAgain()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        await CallAsync(host, "POST", "/keys", """{"name":"team"}""");
        var last = await CallAsync(host, "DELETE", "/keys/team");
        Assert.Equal((409, "last_key"), Told(last));
        Assert.Contains("without it anyone could call; add another first (POST /keys)", last.Json.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(host, null));
    }

    [Fact]
    public async Task Delete_KeyThatIsMadeAgain_GoesOnFromWhatItWasUsedFor()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await StartAsync(upstream);
        foreach (var times in new[] { 1, 2 })
        {
            var made = await CallAsync(host, "POST", "/keys", """{"name":"new","models":["x"]}""");
            Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(host, made.Json.GetProperty("data").GetProperty("secret").GetString()));
            var usage = (await CallAsync(host, "GET", "/keys")).Json.GetProperty("data").GetProperty("keys")[1].GetProperty("usage");
            Assert.Equal(times, usage.GetProperty("refusals").GetInt32());
            Assert.Equal(200, (await CallAsync(host, "DELETE", "/keys/new")).Status);
        }

        var history = (await CallAsync(host, "GET", "/history?key=NEW")).Json.GetProperty("data").GetProperty("keys")[0];
        Assert.Equal(("new", 2), (history.GetProperty("name").GetString(), history.GetProperty("points")[0].GetProperty("refusals").GetInt32()));
    }

    [Theory]
    [InlineData("GET", "/keys")]
    [InlineData("POST", "/keys")]
    [InlineData("PATCH", "/keys/team")]
    [InlineData("DELETE", "/keys/team")]
    public async Task Any_ClientKey_IsNoAdminKey(string method, string path)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync(
            [upstream], options => options with { ClientKeys = [new ClientKey("team", "configured")], AdminKeys = [new ClientKey("ops", "ops-key")] });
        Assert.Equal((403, "not_an_admin_key"), Told(await CallAsync(host, method, path, "{}", "configured")));
        Assert.Equal((401, "invalid_api_key"), Told(await CallAsync(host, method, path, "{}", "wrong")));
    }

    [Fact]
    public void ApplyTo_ConfigurationLosesTheOtherKeys_StaysClosed()
    {
        var edits = PoolEdits.None.WithoutKey("a", isConfigured: true);
        var options = edits.ApplyTo(new BalancerOptions { ClientKeys = [new ClientKey("a", "k")], Backends = [Pools.Backend("x")] });
        Assert.True(options.IsClosed);
        Assert.False(new Pool(options, 1).Keys.IsOpen);
    }

    [Fact]
    public void ToJson_KeysAndLimits_ComeBackAsTheyWere()
    {
        var key = new ClientKey("a", "k")
        {
            CreatedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            Limits = new KeyLimits { Models = ["m*"], Tags = ["t"], RequestsPerMinute = 1, TokensPerMinute = 2, MaxConcurrency = 3, Expires = new DateTimeOffset(2027, 1, 1, 0, 0, 0, TimeSpan.Zero) },
        };
        var edits = PoolEdits.None.With(Pools.Backend("b")).WithKey(key).WithoutKey("c", isConfigured: true);
        var read = PoolEdits.Parse(edits.ToJson());
        Assert.Equal(edits.ToJson(), read.ToJson());
        var back = Assert.Single(read.Keys);
        Assert.Equal(("a", key.Hash, key.CreatedAt, key.Limits.Expires, 3), (back.Name, back.Hash, back.CreatedAt, back.Limits.Expires, back.Limits.MaxConcurrency));
        Assert.Equal(["c"], read.RemovedKeys);

        // What was written before there were keys is read as well.
        Assert.Empty(PoolEdits.Parse("""{"Version":3,"Put":[],"Removed":["x"]}""").Keys);
    }

    [Fact]
    public async Task Post_TwoInstancesOneRedis_KeyAndLimitsHoldAtBoth()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        Task<BalancerHost> Start() => BalancerHost.StartAsync([upstream], options => options with
        {
            ClientKeys = [new ClientKey("team", "configured")],
            Redis = Roadbalancer.Redis.RedisAddress.Parse(redis.Connection, out _),
            RedisTimeout = TimeSpan.FromSeconds(5),
        });
        await using var one = await Start();
        await using var other = await Start();
        await Await.Until(() => one.Log.Has("Redis serves") && other.Log.Has("Redis serves"), "both share their state", TimeSpan.FromSeconds(30));
        var made = await CallAsync(one, "POST", "/keys", """{"name":"new","requests_per_minute":10,"max_concurrency":64}""");
        var secret = made.Json.GetProperty("data").GetProperty("secret").GetString();
        await Await.Until(() => other.Pools.Current.Keys.Named("new") is not null, "the other knows the key");

        var answers = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => AskAsync(i % 2 == 0 ? one : other, secret)));
        Assert.Equal(10, answers.Count(status => status == HttpStatusCode.OK));
        Assert.Equal(54, answers.Count(status => status == HttpStatusCode.TooManyRequests));
        Assert.Equal(10, upstream.Requests.Count);

        // Places taken for requests that were then refused are given back.
        var began = TimeProvider.System.GetTimestamp();
        int held;
        do
        {
            held = await one.InFlightAsync();
        }
        while (held > 0 && TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(20));

        Assert.Equal(0, held);
        await one.Service<KeyUsage>().FlushAsync();
        await other.Service<KeyUsage>().FlushAsync();
        Assert.Equal((10L, 54L), ((await one.Service<KeyUsage>().ReadAsync())["new"].Requests, (await other.Service<KeyUsage>().ReadAsync())["new"].Refusals));

        await redis.KillAsync();
        Assert.Equal(HttpStatusCode.OK, await AskAsync(one, secret));
        await Await.Until(() => one.Log.Has("limits of client keys hold for each instance alone"), "the log says so");
    }

    private static Task<BalancerHost> StartAsync(ScriptedUpstream upstream) =>
        BalancerHost.StartAsync([upstream], options => options with { ClientKeys = [new ClientKey("team", "configured")] });

    private static async Task<HttpStatusCode> AskAsync(BalancerHost host, string? secret)
    {
        using var answer = secret is null ? await host.ChatAsync() : await host.ChatAsync(headers: ("Authorization", "Bearer " + secret));
        await answer.Content.ReadAsStringAsync(Cancel);
        return answer.StatusCode;
    }

    private static (int, string?) Told((int Status, JsonElement Json, string? Location) reply) => (reply.Status, reply.Json.GetProperty("error").GetProperty("code").GetString());

    private static async Task<(int Status, JsonElement Json, string? Location)> CallAsync(BalancerHost host, string method, string path, string? body = null, string? key = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "/api/v1/load_balancer" + path);
        request.Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("X-API-Key", key);
        }

        using var reply = await host.Http.SendAsync(request, Cancel);
        return ((int)reply.StatusCode, JsonDocument.Parse(await reply.Content.ReadAsStringAsync(Cancel)).RootElement, reply.Headers.Location?.OriginalString);
    }
}
