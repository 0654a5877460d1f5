using System.Net;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

public class AdminAccessTests
{
    private static readonly BalancerOptions WithKeys = new()
    {
        Backends = [Pools.Backend("a")],
        HealthCheckEnabled = false,
        AdminKeys = [new("ops", AdminClient.Key)],
        ClientKeys = [new("team", "k-client-secret")],
    };

    public static TheoryData<string, string> Routes => [.. ApiDescription.Operations.Select(operation => (operation.Method, operation.Path.Replace("{name}", "a", StringComparison.Ordinal)))];

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task AnyRoute_WithoutAnAdminKey_IsRefusedAndChangesNothing(string method, string path)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys);

        var without = await host.CallAsync(method, path);
        var wrong = await host.CallAsync(method, path, key: "k-admin-secreT");
        var client = await host.CallAsync(method, path, null, null, ("Authorization", "Bearer k-client-secret"));

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (without.Status, without.Code));
        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (wrong.Status, wrong.Code));
        Assert.Equal((HttpStatusCode.Forbidden, "not_an_admin_key"), (client.Status, client.Code));
        Assert.Equal(0, host.Pools.Edits.Version);
        Assert.All([without, wrong, client], reply => Assert.DoesNotContain("secre", reply.Text, StringComparison.Ordinal));
        Assert.DoesNotContain(host.Log.Lines, line => line.Contains("secre", StringComparison.Ordinal));
        Assert.True(host.Log.Has($"Refused {method} {AdminEndpoint.Prefix}{path} from 127.0.0.1: not_an_admin_key"));
    }

    [Theory]
    [InlineData("X-API-Key", AdminClient.Key)]
    [InlineData("Authorization", "Bearer " + AdminClient.Key)]
    [InlineData("authorization", "bearer " + AdminClient.Key)]
    public async Task Status_WithAnAdminKeyInEitherHeader_IsTold(string header, string value)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys);

        Assert.Equal(HttpStatusCode.OK, (await host.CallAsync("GET", "/status", null, null, (header, value))).Status);
    }

    [Fact]
    public async Task Status_WrongOwnHeaderBesideARightBearer_IsRefused()
    {
        await using var host = await BalancerHost.StartAsync(WithKeys);

        Assert.Equal(HttpStatusCode.Unauthorized, (await host.CallAsync("GET", "/status", null, "wrong", ("Authorization", $"Bearer {AdminClient.Key}"))).Status);
    }

    [Fact]
    public async Task Chat_WithAnAdminKey_IsRefused()
    {
        await using var host = await BalancerHost.StartAsync(WithKeys);

        using var answer = await host.ChatAsync(headers: ("Authorization", $"Bearer {AdminClient.Key}"));

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("X-Forwarded-For", "127.0.0.1", "admin_keys_required")]
    [InlineData("Forwarded", "for=1.2.3.4", "admin_keys_required")]
    [InlineData("X-Real-IP", "127.0.0.1", "admin_keys_required")]
    [InlineData("Via", "1.1 proxy", "admin_keys_required")]
    [InlineData("Host", "balancer.example", "cross_origin")]
    [InlineData("Host", "127.0.0.1.example", "cross_origin")]
    [InlineData("Host", "localhost:5000", null)]
    [InlineData("Host", "[::1]:5000", null)]
    [InlineData("Origin", "https://evil.example", "cross_origin")]
    [InlineData("Origin", "null", "cross_origin")]
    [InlineData("Origin", "http://127.0.0.1:1", "cross_origin")]
    [InlineData("Sec-Fetch-Site", "cross-site", "cross_origin")]
    [InlineData("Sec-Fetch-Site", "same-site", "cross_origin")]
    [InlineData("Sec-Fetch-Site", "same-origin", null)]
    public async Task Drain_WithoutAdminKeys_OnlyWhoIsHereAndNobodysPage(string? header, string? value, string? refusal)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys with { AdminKeys = [] });

        var reply = await host.CallAsync("POST", "/backends/a/drain", null, null, header is null ? [] : [(header, value!)]);

        Assert.Equal(refusal is null ? HttpStatusCode.OK : HttpStatusCode.Forbidden, reply.Status);
        Assert.Equal(refusal, refusal is null ? null : reply.Code);
        Assert.Equal(refusal is null, host.Pools.Current.Backends[0].Draining);
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData("X-Forwarded-For", "127.0.0.1", "no_keys_configured")]
    [InlineData("Host", "rebound.example", "cross_origin")]
    [InlineData("Host", "localhost:5000", null)]
    [InlineData("Host", "[::1]:5000", null)]
    [InlineData("Origin", "https://evil.example", "cross_origin")]
    [InlineData("Sec-Fetch-Site", "cross-site", "cross_origin")]
    [InlineData("Sec-Fetch-Site", "same-origin", null)]
    public async Task StatsAndMetrics_WithoutKeys_OnlyWhoIsHereAndNobodysPage(string? header, string? value, string? refusal)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys with { AdminKeys = [], ClientKeys = [] });

        foreach (var path in new[] { "/stats", "/metrics" })
        {
            using var answer = await AskAsync(host, path, header is null ? [] : [(header, value!)]);

            if (refusal is null)
            {
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }
            else
            {
                Assert.Contains("ROADBALANCER_API_KEYS", await OpenAIError.AssertAsync(answer, HttpStatusCode.Forbidden, refusal), StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("document", HttpStatusCode.OK)]
    [InlineData("iframe", HttpStatusCode.Forbidden)]
    public async Task Stats_WithoutKeysByALinkInAnotherPage_AreShownToWhoFollowedIt(string destination, HttpStatusCode expected)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys with { AdminKeys = [], ClientKeys = [] });

        using var answer = await AskAsync(host, "/stats", ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", destination));

        Assert.Equal(expected, answer.StatusCode);
    }

    [Fact]
    public async Task Stats_AnotherNameAndAKey_AreTold()
    {
        await using var host = await BalancerHost.StartAsync(WithKeys);

        using var answer = await AskAsync(host, "/stats", ("Host", "balancer.example"), ("Authorization", "Bearer k-client-secret"));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("/api/v1/load_balancer/status")]
    [InlineData("/stats")]
    [InlineData("/metrics")]
    public async Task Read_WithoutKeysByAProxyThatAddsNothing_IsRefused(string path)
    {
        await using var host = await BalancerHost.StartAsync(WithKeys with { AdminKeys = [], ClientKeys = [] });

        // What nginx sends for a bare proxy_pass.
        var answer = await RawHttp.AskAsync(host.Url, $"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{host.Url.Port}\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 403 ", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Authorization", "Bearer " + AdminClient.Key)]
    [InlineData("X-API-Key", AdminClient.Key)]
    [InlineData("api-key", AdminClient.Key)]
    public async Task Chat_OpenBalancerAndAnAdminKey_DoesNotReachABackendWithoutAKey(string header, string value)
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([upstream], options => options with { AdminKeys = WithKeys.AdminKeys });

        using var mine = await host.ChatAsync(headers: (header, value));
        using var theirs = await host.ChatAsync(headers: (header, value + "-of-the-backend"));

        Assert.Equal(HttpStatusCode.OK, mine.StatusCode);
        Assert.DoesNotContain(upstream.Requests[0].Headers, sent => sent.Value == value);
        Assert.Contains(upstream.Requests[1].Headers, sent => sent.Value == value + "-of-the-backend");
    }

    [Theory]
    [InlineData("10.0.0.4", false)]
    [InlineData("::1", true)]
    [InlineData("::ffff:127.0.0.1", true)]
    [InlineData("127.0.0.9", true)]
    public void Check_WithoutAdminKeys_FollowsTheConnection(string address, bool isHere)
    {
        var http = new DefaultHttpContext();
        http.Request.Host = new HostString("localhost", 5000);
        http.Connection.RemoteIpAddress = IPAddress.Parse(address);

        var (_, refusal) = new AdminAccess(new PoolSource(WithKeys with { AdminKeys = [] })).Check(http);

        Assert.Equal(isHere ? null : "admin_keys_required", refusal?.Code);
    }

    [Fact]
    public async Task Status_UnderTheFunctionsHostWithoutAdminKeys_SaysWhichSettingToMake()
    {
        await using var host = await BalancerHost.StartAsync(WithKeys with { AdminKeys = [], BehindFunctionsHost = true });

        var reply = await host.GetAsync("/status");

        Assert.Equal((HttpStatusCode.Forbidden, "admin_keys_required"), (reply.Status, reply.Code));
        Assert.Contains("ROADBALANCER_ADMIN_KEYS", reply.Error, StringComparison.Ordinal);
    }

    private static async Task<HttpResponseMessage> AskAsync(BalancerHost host, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await host.Http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
