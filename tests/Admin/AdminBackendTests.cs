using System.Net;
using System.Text.Json;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

public class AdminBackendTests
{
    private static readonly BalancerOptions Two = new()
    {
        Backends = [Pools.Backend("a", 2) with { ApiKey = "k-configured", Tags = System.Collections.Frozen.FrozenSet.Create("fast") }, Pools.Backend("b")],
        HealthCheckEnabled = false,
        AllowedBackendHosts = ["*.test", "127.0.0.1"],
    };

    [Fact]
    public async Task Add_EveryField_IsInForceAndTold()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("from the new one"));
        await using var host = await BalancerHost.StartAsync(Two with { Backends = [Two.Backends[0] with { Enabled = false }] });
        var body = $$"""
            {"name": "new", "url": "{{upstream.BaseUrl}}?api-version=1", "api_key": "k-given", "auth": "api-key", "headers": {"X-Org": "h-given"}, "query": {"q": "q-given"},
             "weight": 3, "max_connections": 7, "priority": -1, "tags": ["x", "y"], "models": {"m": "own"}, "max_tokens": 9, "temperature": 0.5, "enabled": true,
             "health_path": "/up", "prefix": true, "timeout": 20, "connect_timeout": 2, "ttft_timeout": 3.5, "stream_idle_timeout": 4}
            """;

        var reply = await host.DoAsync("POST", "/backends", body, HttpStatusCode.Created);
        using var answer = await host.ChatAsync();

        Assert.Equal("/api/v1/load_balancer/backends/new", reply.Message.Headers.Location!.OriginalString);
        Assert.Equal("Backend new was added.", reply.Body.GetProperty("message").GetString());
        Assert.Equal((host.Pools.Edits.Version, "everywhere", "pending"), (reply.Data.GetProperty("version").GetInt64(), reply.Data.GetProperty("in_force").GetString(), reply.Data.GetProperty("durable").GetString()));
        var told = reply.Data.GetProperty("backend");
        Assert.Equal(("added", true, "api-key", 3, 7, -1), (Text(told, "source"), told.GetProperty("has_api_key").GetBoolean(), Text(told, "auth"), Int(told, "weight"), Int(told, "max_connections"), Int(told, "priority")));
        Assert.Equal("own", told.GetProperty("models").GetProperty("m").GetString());
        Assert.Equal((20.0, 3.5, true), (told.GetProperty("timeout").GetDouble(), told.GetProperty("ttft_timeout").GetDouble(), told.GetProperty("prefix").GetBoolean()));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("k-given", upstream.Requests[0].Header("api-key"));
        Assert.DoesNotContain("-given", reply.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(host.Log.Lines, line => line.Contains("-given", StringComparison.Ordinal));
        Assert.True(host.Log.Has($"loopback from 127.0.0.1: backend_added new, version {host.Pools.Edits.Version}: nothing -> {{\"name\":\"new\""));
    }

    [Fact]
    public async Task Add_OnlyAUrl_TakesDefaultsAndAFreeName()
    {
        await using var host = await BalancerHost.StartAsync(Two with { BackendDefaults = new(new() { Timeout = TimeSpan.FromSeconds(77) }, FamilyDefaults.B) });

        var first = await host.DoAsync("POST", "/backends", """{"url":"http://gpu.test:8000"}""", HttpStatusCode.Created);
        var second = await host.DoAsync("POST", "/backends", """{"url":"http://gpu.test:8000","timeout":null}""", HttpStatusCode.Created);

        var told = first.Data.GetProperty("backend");
        Assert.Equal(("gpu.test:8000", "http://gpu.test:8000/v1", 77.0, 50), (Text(told, "name"), Text(told, "url"), told.GetProperty("timeout").GetDouble(), Int(told, "max_connections")));
        Assert.Equal("gpu.test:8000-2", Text(second.Data.GetProperty("backend"), "name"));
    }

    [Theory]
    [InlineData("""{"name":"x"}""", "url")]
    [InlineData("""{"url":"ftp://x.test"}""", "url")]
    [InlineData("""{"url":"http://user:hunter2@x.test"}""", "url")]
    [InlineData("""{"url":5}""", "url")]
    [InlineData("""{"url":"http://x.test","name":"a b"}""", "name")]
    [InlineData("""{"url":"http://x.test","api_key":"hunter2\u0001"}""", "api_key")]
    [InlineData("""{"url":"http://x.test","api_key":"env:PATH"}""", "api_key")]
    [InlineData("""{"url":"http://x.test","auth":"basic"}""", "auth")]
    [InlineData("""{"url":"http://x.test","headers":{"Host":"hunter2"}}""", "headers.Host")]
    [InlineData("""{"url":"http://x.test","headers":{"X-A":"env:HOME"}}""", "headers.X-A")]
    [InlineData("""{"url":"http://x.test","headers":["hunter2"]}""", "headers")]
    [InlineData("""{"url":"http://x.test","query":{"k":"ENV:HOME"}}""", "query.k")]
    [InlineData("""{"url":"http://x.test","query":[1]}""", "query")]
    [InlineData("""{"url":"http://x.test","weight":-1}""", "weight")]
    [InlineData("""{"url":"http://x.test","weight":1.5}""", "weight")]
    [InlineData("""{"url":"http://x.test","weight":1000001}""", "weight")]
    [InlineData("""{"url":"http://x.test","max_connections":0}""", "max_connections")]
    [InlineData("""{"url":"http://x.test","priority":"high"}""", "priority")]
    [InlineData("""{"url":"http://x.test","tags":["a,b"]}""", "tags[0]")]
    [InlineData("""{"url":"http://x.test","model_name":""}""", "model_name")]
    [InlineData("""{"url":"http://x.test","models":[{}]}""", "models[0]")]
    [InlineData("""{"url":"http://x.test","max_tokens":0}""", "max_tokens")]
    [InlineData("""{"url":"http://x.test","temperature":2.1}""", "temperature")]
    [InlineData("""{"url":"http://x.test","enabled":"perhaps"}""", "enabled")]
    [InlineData("""{"url":"http://x.test","health_path":"http://elsewhere"}""", "health_path")]
    [InlineData("""{"url":"http://x.test","prefix":true,"continue_final_message":true}""", "continue_final_message")]
    [InlineData("""{"url":"http://x.test","prefix":7}""", "prefix")]
    [InlineData("""{"url":"http://x.test","continue_final_message":[]}""", "continue_final_message")]
    [InlineData("""{"url":"http://x.test","timeout":0}""", "timeout")]
    [InlineData("""{"url":"http://x.test","connect_timeout":86401}""", "connect_timeout")]
    [InlineData("""{"url":"http://x.test","ttft_timeout":"soon"}""", "ttft_timeout")]
    [InlineData("""{"url":"http://x.test","stream_idle_timeout":-3}""", "stream_idle_timeout")]
    [InlineData("""{"url":"http://x.test","wieght":1}""", "wieght")]
    public async Task AddAndChange_AnInvalidField_IsNamedAndNothingHappens(string body, string field)
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var added = await host.CallAsync("POST", "/backends", body);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_field"), (added.Status, added.Code));
        Assert.True(added.Field == field || added.Text.Contains($"\"field\":\"{field}\"", StringComparison.Ordinal), added.Text);
        Assert.DoesNotContain("hunter2", added.Text, StringComparison.Ordinal);
        if (field is not "url" and not "name")
        {
            var patch = body.Replace("\"url\":\"http://x.test\",", "", StringComparison.Ordinal);
            var changed = await host.CallAsync("PATCH", "/backends/a", patch);
            Assert.Equal((HttpStatusCode.BadRequest, "invalid_field"), (changed.Status, changed.Code));
        }

        Assert.Equal(0, host.Pools.Edits.Version);
    }

    [Fact]
    public async Task Add_SeveralInvalidFields_TellsOfAll()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var reply = await host.CallAsync("POST", "/backends", """{"url":"http://x.test","weight":-1,"timeout":0}""");

        Assert.Equal(["weight", "timeout"], reply.Body.GetProperty("error").GetProperty("details").EnumerateArray().Select(detail => detail.GetProperty("field").GetString()!));
        Assert.Equal("weight: '-1' is not valid; must be a whole number from 0 to 1,000,000", reply.Error);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{\"url\":\"http://x.test\",\"url\":\"http://y.test\"}")]
    [InlineData("{\"url\":\"\\ud800\"}")]
    public async Task Bodies_ThatAreNoJsonObject_AreRefused(string body)
    {
        await using var host = await BalancerHost.StartAsync(Two);

        foreach (var (method, path) in new[] { ("POST", "/backends"), ("PATCH", "/backends/a"), ("PUT", "/strategy") })
        {
            var reply = await host.CallAsync(method, path, body);
            Assert.Equal((HttpStatusCode.BadRequest, "invalid_json"), (reply.Status, reply.Code));
        }
    }

    [Fact]
    public async Task Bodies_LargerThanAMebibyte_AreRefused()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var reply = await host.CallAsync("POST", "/backends", $$"""{"url":"http://x.test","model_name":"{{new string('x', 1024 * 1024)}}"}""");

        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "body_too_large"), (reply.Status, reply.Code));
    }

    [Theory]
    [InlineData("http://other.example", "not in allowed_backend_hosts")]
    [InlineData("http://169.254.169.254/latest", "not in allowed_backend_hosts")]
    public async Task Add_HostThatIsNotAllowed_IsRefused(string url, string why)
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var added = await host.CallAsync("POST", "/backends", $$"""{"url":"{{url}}"}""");
        var changed = await host.CallAsync("PATCH", "/backends/b", $$"""{"url":"{{url}}"}""");

        Assert.All([added, changed], reply => Assert.Equal((HttpStatusCode.BadRequest, "host_not_allowed", "url"), (reply.Status, reply.Code, reply.Field)));
        Assert.Contains(why, added.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_NameThatIsTaken_IsRefusedWhateverItsCase()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var reply = await host.CallAsync("POST", "/backends", """{"name":"B","url":"http://x.test"}""");

        Assert.Equal((HttpStatusCode.Conflict, "name_taken"), (reply.Status, reply.Code));
    }

    [Fact]
    public async Task Change_OneField_LeavesTheOthersToTheConfiguration()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var changed = await host.DoAsync("PATCH", "/backends/A", """{"weight":5}""");
        host.Pools.Swap(Two with { Backends = [Two.Backends[0] with { ApiKey = "k-rotated", MaxConnections = 9 }, Two.Backends[1]] });
        var after = host.Pools.Current.Backends[0];

        Assert.Equal(("changed", "weight"), (Text(changed.Data.GetProperty("backend"), "source"), changed.Data.GetProperty("backend").GetProperty("changed_fields")[0].GetString()));
        Assert.Equal((5, 9, "k-rotated"), (after.Weight, after.MaxConnections, after.ApiKey));
        Assert.True(host.Log.Has($"loopback from 127.0.0.1: backend_changed a, version {host.Pools.Edits.Version}: {{\"weight\":2}} -> {{\"weight\":5}}"));
        Assert.DoesNotContain("k-configured", host.Pools.Edits.ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_ToNull_TakesItBack()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await host.DoAsync("PATCH", "/backends/a", """{"weight":5,"tags":["slow"],"prefix":true}""");
        await host.DoAsync("PATCH", "/backends/a", """{"continue_final_message":true}""");
        Assert.Equal(ContinuationForm.ContinueFinalMessage, host.Pools.Current.Backends[0].Continuation);

        var reply = await host.DoAsync("PATCH", "/backends/a", """{"weight":null,"tags":null,"continue_final_message":null}""");

        Assert.Equal("configured", Text(reply.Data.GetProperty("backend"), "source"));
        Assert.Equal(Two.Backends[0], host.Pools.Current.Backends[0]);
    }

    [Fact]
    public async Task Change_AnAddedBackend_KeepsWhatItWasGiven()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await host.DoAsync("POST", "/backends", """{"name":"c","url":"http://c.test","api_key":"k-c","weight":4}""", HttpStatusCode.Created);

        await host.DoAsync("PATCH", "/backends/c", """{"weight":null,"timeout":3}""");

        var after = host.Pools.Current.Backends[2];
        Assert.Equal((1, 3.0, "k-c"), (after.Weight, after.Timeout.TotalSeconds, after.ApiKey));
        Assert.Equal("url", (await host.CallAsync("PATCH", "/backends/c", """{"url":null}""")).Field);
    }

    [Fact]
    public async Task Change_UrlAtAnotherHost_DoesNotTakeTheKeyAlong()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var alone = await host.CallAsync("PATCH", "/backends/a", """{"url":"http://evil.test"}""");
        await host.DoAsync("PATCH", "/backends/a", """{"url":"http://other.test","api_key":"k-new"}""");
        var takenBack = await host.CallAsync("PATCH", "/backends/a", """{"api_key":null}""");
        await host.DoAsync("PATCH", "/backends/a", """{"url":"http://other.test/v2"}""");
        await host.DoAsync("PATCH", "/backends/a", """{"url":null,"api_key":null}""");

        Assert.Equal(("invalid_field", "api_key"), (alone.Code, alone.Field));
        Assert.Equal(("invalid_field", "api_key"), (takenBack.Code, takenBack.Field));
        Assert.Equal(("http://a.test/v1", "k-configured"), (host.Pools.Current.Backends[0].BaseUrl.AbsoluteUri, host.Pools.Current.Backends[0].ApiKey));
    }

    [Theory]
    [InlineData("PATCH", "/backends/a", """{"name":"z"}""", "invalid_field")]
    [InlineData("PATCH", "/backends/a", "{}", "invalid_json")]
    [InlineData("PATCH", "/backends/nobody", """{"weight":1}""", "backend_not_found")]
    [InlineData("DELETE", "/backends/nobody", null, "backend_not_found")]
    [InlineData("DELETE", "/backends/nobody?drain=1", null, "backend_not_found")]
    [InlineData("DELETE", "/backends/a?drain=181", null, "invalid_parameter")]
    [InlineData("DELETE", "/backends/a?drain=-1", null, "invalid_parameter")]
    [InlineData("DELETE", "/backends/a?drain=NaN", null, "invalid_parameter")]
    [InlineData("POST", "/backends/nobody/enable", null, "backend_not_found")]
    [InlineData("POST", "/backends/nobody/disable", null, "backend_not_found")]
    [InlineData("POST", "/backends/nobody/drain", null, "backend_not_found")]
    [InlineData("POST", "/backends/nobody/restore", null, "backend_not_found")]
    [InlineData("POST", "/backends/nobody/reset", null, "backend_not_found")]
    [InlineData("POST", "/backends/nobody/health_check", null, "backend_not_found")]
    public async Task Changes_ThatCannotBeMade_ChangeNothing(string method, string path, string? body, string code)
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var reply = await host.CallAsync(method, path, body);

        Assert.Equal(code, reply.Code);
        Assert.Equal(0, host.Pools.Edits.Version);
        Assert.True(code != "backend_not_found" || reply.Error == "There is no backend 'nobody'; there are a, b.", reply.Error);
    }

    [Fact]
    public async Task Remove_OfAConfiguredOne_CanBeTakenBack()
    {
        await using var host = await BalancerHost.StartAsync(Two);

        var removed = await host.DoAsync("DELETE", "/backends/a");
        var list = (await host.DoAsync("GET", "/backends")).Data;
        var last = await host.CallAsync("DELETE", "/backends/b");
        var restored = await host.DoAsync("POST", "/backends/a/restore");

        Assert.Equal((JsonValueKind.Null, 0), (removed.Data.GetProperty("backend").ValueKind, Int(removed.Data, "in_flight")));
        Assert.Equal("a", list.GetProperty("removed")[0].GetString());
        Assert.Equal((HttpStatusCode.Conflict, "last_backend"), (last.Status, last.Code));
        Assert.Equal("configured", Text(restored.Data.GetProperty("backend"), "source"));
        Assert.Equal("k-configured", host.Pools.Current.Backends[0].ApiKey);
    }

    [Fact]
    public async Task Remove_OfAnAddedOne_LeavesNoTrace()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await host.DoAsync("POST", "/backends", """{"name":"c","url":"http://c.test"}""", HttpStatusCode.Created);
        Assert.Equal("not_configured", (await host.CallAsync("POST", "/backends/c/restore")).Code);
        await host.DoAsync("POST", "/backends/c/drain");

        await host.DoAsync("DELETE", "/backends/c");
        await host.DoAsync("POST", "/backends", """{"name":"c","url":"http://c.test"}""", HttpStatusCode.Created);

        Assert.False(host.Pools.Current.Backends[2].Draining);
        Assert.Empty(host.Pools.Edits.Removed);
    }

    [Fact]
    public async Task Change_WeightZeroOfTheLastWithOne_IsRefused()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await host.DoAsync("PATCH", "/backends/b", """{"weight":0}""");

        var reply = await host.CallAsync("PATCH", "/backends/a", """{"weight":0}""");

        Assert.Equal((HttpStatusCode.Conflict, "last_backend"), (reply.Status, reply.Code));
    }

    [Fact]
    public async Task Changes_WhereBalancingIsOff_AreRefused()
    {
        await using var host = await BalancerHost.StartAsync(Two with { Backends = [Two.Backends[0]], Mode = BalancingMode.SingleBackend });
        var calls = new[] { ("POST", "/backends", """{"url":"http://x.test"}"""), ("PATCH", "/backends/a", """{"weight":1}"""), ("POST", "/backends/a/drain", null), ("POST", "/backends/a/reset", null),
            ("PUT", "/strategy", """{"strategy":"random"}"""), ("POST", "/health_check/start", null) };

        foreach (var (method, path, body) in calls)
        {
            Assert.Equal("balancing_off", (await host.CallAsync(method, path, body)).Code);
        }

        Assert.False((await host.DoAsync("GET", "/status")).Data.GetProperty("enabled").GetBoolean());
    }

    private static string? Text(JsonElement from, string key) => from.GetProperty(key).GetString();

    private static int Int(JsonElement from, string key) => from.GetProperty(key).GetInt32();
}
