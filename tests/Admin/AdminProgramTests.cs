using Microsoft.AspNetCore.Http;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Tests.Options;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

/// <summary>The API as users' scripts meet it: the program, its settings, curl.</summary>
public sealed class AdminProgramTests
{
    private const string Secret = "sk-Zq7Xw93Kf5TnB1";

    private static readonly string[] Bodies =
    [
        """{"url":"http://x.test","api_key":"§\u0001"}""", """{"url":"http://x.test","api_key":["§"]}""", """{"url":"http://x.test","api_key":{"§":1}}""", """{"url":"http://x.test","api_key":"env:§"}""",
        """{"url":"http://x.test","headers":"§"}""", """{"url":"http://x.test","headers":{"X-A":["§"]}}""", """{"url":"http://x.test","headers":{"a b":"§"}}""", """{"url":"http://x.test","headers":{"Host":"§"}}""",
        """{"url":"http://x.test","query":["§"]}""", """{"url":"http://x.test","query":"# §"}""", """{"url":"http://u:§@x.test"}""", """{"url":"http://x.test:0?k=§"}""", """{"url":"http://x.test#§"}""",
        """{"url":"http://x.test","apikey":"§"}""", """{"url":"http://x.test","§":1}""", """{"url":"http://x.test","api_key":"§" """, "§", """["§"]""", """{"url":"http://x.test","api_key":"§","api_key":"§"}""",
        """{"url":"http://x.test","api_key":"§","weight":-1}""", """{"name":"§ x","url":"http://x.test"}""", """{"url":"http://x.test?key=§","api_key":"§","headers":{"X-A":"§"},"query":{"a":"§"}}""",
    ];

    [Fact]
    public async Task Curl_AsUsersWriteIt_GetsItsAnswers()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var program = await ProgramProcess.Start(
            config: $"endpoints: [{{name: a, url: '{upstream.BaseUrl}', api_key: k-backend}}]", environment: ("ROADBALANCER_ADMIN_KEYS", $"ops={AdminClient.Key}")).ListenAsync();
        var api = new Uri(program.Http.BaseAddress!, "/api/v1/load_balancer");

        foreach (var (line, expected) in new[]
        {
            ($"curl -s -H 'X-API-Key: {AdminClient.Key}' {api}/status", "\"health_check_running\":true"),
            ($"curl -s -H 'X-API-Key: {AdminClient.Key}' {api}/backends", "\"has_api_key\":true"),
            ($"curl -s -X POST -H 'X-API-Key: {AdminClient.Key}' -d '{{\"name\":\"b\",\"url\":\"{upstream.BaseUrl}\"}}' {api}/backends", "Backend b was added."),
            ($"curl -s -X DELETE -H 'X-API-Key: {AdminClient.Key}' {api}/backends/b", "Backend b was removed."),
            ($"curl -s -w '%{{http_code}}' {api}/status", "401"),
            ($"curl -s -w '%{{http_code}}' {new Uri(api, "/api/v1/openapi.json")}", "200"),
        })
        {
            await using var curl = ChildProcess.Start("bash", ["-c", line], program.Folder);
            Assert.Equal(0, await curl.ExitCodeAsync(TimeSpan.FromSeconds(30)));
            Assert.Contains(expected, curl.Output, StringComparison.Ordinal);
        }

        Assert.Contains("ops from 127.0.0.1: backend_removed b, version ", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(AdminClient.Key, program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_AdminSettings_AreRead()
    {
        using var setup = Setup.Yaml("admin_keys: [ops=env:OPS, k2]\nallowed_backend_hosts: ['gpu*.internal', '10.0.0.7:8000']\ntimeout: 7\nendpoints: [{url: 'http://a'}]");
        setup.Environment["OPS"] = Secret;
        setup.Environment["FUNCTIONS_CUSTOMHANDLER_PORT"] = "7071";

        var options = setup.Options();

        Assert.Equal([("ops", ClientKey.HashOf(Secret)), ("key-2", ClientKey.HashOf("k2"))], options.AdminKeys.Select(key => (key.Name, key.Hash)));
        Assert.Equal(["gpu*.internal", "10.0.0.7:8000"], options.AllowedBackendHosts);
        Assert.True(options.BehindFunctionsHost);
        Assert.Equal(TimeSpan.FromSeconds(7), options.BackendDefaults.Times.Timeout);
    }

    [Fact]
    public void Load_AdminKeysThatAreWrong_AreNotShown()
    {
        using var setup = Setup.With(("ROADBALANCER_ADMIN_KEYS", $"a b={Secret}"), ("LLM_ENDPOINTS", "http://a"));

        Assert.DoesNotContain(Secret, setup.Error().ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_OneSecretForAClientAndAnAdministrator_IsAnErrorThatNamesBothAndNotIt()
    {
        using var setup = Setup.With(("ROADBALANCER_ADMIN_KEYS", $"ops={Secret}"), ("ROADBALANCER_API_KEYS", $"other=1,team={Secret}"), ("LLM_ENDPOINTS", "http://a"));

        Assert.Equal("admin_keys: the key ops has the same secret as team of api_keys, whose clients could manage the balancer; one of them needs another secret", setup.Error().ToString());
    }

    /// <summary>Keys that were made at run time are not known when the configuration is read.</summary>
    [Fact]
    public void Check_SecretOfAKeyMadeAtRunTimeIsSetForAnAdministrator_IsTheClientsAlone()
    {
        var pools = new PoolSource(new BalancerOptions { Backends = [Pools.Backend("a")], AdminKeys = [new("ops", Secret)], ClientKeys = [new("other", "1")] });
        var http = new DefaultHttpContext { Connection = { RemoteIpAddress = System.Net.IPAddress.Loopback }, Request = { Headers = { ["X-API-Key"] = Secret } } };
        Assert.Equal("ops", new AdminAccess(pools).Check(http).By);

        pools.Edit(PoolEdits.None.WithKey(new ClientKey("team", Secret)) with { Version = 1 });
        var refusal = new AdminAccess(pools).Check(http).Refusal;
        Assert.Equal((403, "not_an_admin_key"), (refusal?.Status, refusal?.Body["error"]!["code"]!.GetValue<string>()));
        http.Request.Headers.Remove("X-API-Key");
        Assert.Equal(401, new AdminAccess(pools).Check(http).Refusal?.Status);
    }

    [Fact]
    public async Task Bodies_WithASecretInAnyPlace_AreInNoReplyAndNoLog()
    {
        await using var host = await BalancerHost.StartAsync(new Roadbalancer.Options.BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false });
        foreach (var body in Bodies.Select(body => body.Replace("§", Secret, StringComparison.Ordinal)))
        {
            var isName = body.Contains("\"name\"", StringComparison.Ordinal);
            foreach (var (method, path) in new[] { ("POST", "/backends"), ("PATCH", "/backends/a") })
            {
                var reply = await host.CallAsync(method, path, body);
                Assert.True(isName || !reply.Text.Contains(Secret, StringComparison.Ordinal), $"{method} {body}: {reply.Text}");
            }
        }

        foreach (var path in new[] { "/status", "/metrics", "/backends", "/strategy" })
        {
            Assert.DoesNotContain(Secret, (await host.DoAsync("GET", path)).Text, StringComparison.Ordinal);
        }

        await using var events = await Events.OpenAsync(host, "?recent=500");
        await events.NextAsync("status");
        Assert.DoesNotContain(Secret, events.All, StringComparison.Ordinal);
        Assert.DoesNotContain(host.Log.Lines, line => line.Contains(Secret, StringComparison.Ordinal));
        Assert.NotEqual(0, host.Pools.Edits.Version);
    }
}
