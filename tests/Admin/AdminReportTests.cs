using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Admin;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using Roadbalancer.Tests.Support;
using Roadbalancer.Tests.Telemetry;

namespace Roadbalancer.Tests.Admin;

public class AdminReportTests
{
    [Fact]
    public async Task Status_BeforeAnyRequest_HasNoRates()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b") with { Enabled = false }], HealthCheckEnabled = false });

        var status = (await host.DoAsync("GET", "/status")).Data;

        Assert.True(status.GetProperty("enabled").GetBoolean());
        Assert.Equal("round_robin", status.GetProperty("strategy").GetString());
        Assert.Equal((2, 1, 1), (status.GetProperty("total_backends").GetInt32(), status.GetProperty("healthy_backends").GetInt32(), status.GetProperty("unhealthy_backends").GetInt32()));
        Assert.Equal(["a"], status.GetProperty("available_backends").EnumerateArray().Select(name => name.GetString()!));
        Assert.Equal(JsonValueKind.Null, status.GetProperty("overall_statistics").GetProperty("success_rate").ValueKind);
        Assert.Equal("memory", status.GetProperty("shared_state").GetString());
        Assert.True(status.GetProperty("durable").GetBoolean());
    }

    [Fact]
    public async Task Status_CooldownIsOverAndNothingHasTriedIt_IsAvailableButNotHealthy()
    {
        var time = new ManualTime();
        await using var host = await BalancerHost.StartAsync(
            new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false, FailureThreshold = 1 }, services => services.AddSingleton<TimeProvider>(time));
        await AdminEventTests.FailAsync(host, 0);
        time.Advance(TimeSpan.FromMinutes(1));

        var status = (await host.DoAsync("GET", "/status")).Data;
        var stats = JsonDocument.Parse(await host.Http.GetStringAsync("/stats", TestContext.Current.CancellationToken)).RootElement;
        var metrics = await Scrape.OfAsync(host.Http);

        Assert.Equal("trial", (await host.DoAsync("GET", "/metrics")).Data.GetProperty("backends")[0].GetProperty("status").GetString());
        Assert.Equal((1, 1), (status.GetProperty("healthy_backends").GetInt32(), status.GetProperty("unhealthy_backends").GetInt32()));
        Assert.Equal(["a", "b"], status.GetProperty("available_backends").EnumerateArray().Select(name => name.GetString()!));
        Assert.Equal(1, stats.GetProperty("healthy_endpoints").GetInt32());
        Assert.False(stats.GetProperty("endpoints")[0].GetProperty("healthy").GetBoolean());
        Assert.Equal((0, 1), (metrics["roadbalancer_backend_healthy{backend=\"a\"}"], metrics["roadbalancer_backend_healthy{backend=\"b\"}"]));
    }

    [Fact]
    public async Task StatusAndMetrics_AfterSuccessesAndFailures_CountThem()
    {
        await using var good = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var bad = ScriptedUpstream.Start(Scripts.Status(500));
        await using var host = await BalancerHost.StartAsync([good, bad]);
        for (var request = 0; request < 2; request++)
        {
            using var answer = await host.ChatAsync(stream: true);
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }

        await Await.Until(() => host.InFlightAsync() is { IsCompletedSuccessfully: true } flight && flight.GetAwaiter().GetResult() == 0, "all places are given back");
        var overall = (await host.DoAsync("GET", "/status")).Data.GetProperty("overall_statistics");
        var backends = (await host.DoAsync("GET", "/metrics")).Data.GetProperty("backends").EnumerateArray().ToArray();

        Assert.Equal((3, 2, 1), (overall.GetProperty("total_requests").GetInt32(), overall.GetProperty("successful_requests").GetInt32(), overall.GetProperty("failed_requests").GetInt32()));
        Assert.Equal(0.6667, overall.GetProperty("success_rate").GetDouble());
        Assert.Equal(2, overall.GetProperty("time_to_first_token").GetProperty("count").GetInt32());
        Assert.Equal(1, overall.GetProperty("outcomes").GetProperty("server_error").GetInt32());
        Assert.Equal(1, backends[0].GetProperty("success_rate").GetDouble());
        Assert.True(backends[0].GetProperty("percentiles").GetProperty("p99").GetDouble() is > 0 and < 10);
        Assert.Equal(1, backends[1].GetProperty("outcomes").GetProperty("server_error").GetInt32());
        Assert.Equal(1, backends[1].GetProperty("consecutive_failures").GetInt32());
        Assert.NotNull(backends[1].GetProperty("last_error_time").GetString());
    }

    [Fact]
    public async Task Backends_OfAConfiguration_AreToldWithoutSecrets()
    {
        var backend = Pools.Backend("azure") with
        {
            ApiKey = "k-backend-secret",
            Headers = [new("X-Org", "header-secret")],
            Query = "api-version=query-secret",
            HealthPath = "health?key=path-secret",
        };
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [backend], HealthCheckEnabled = false });

        var reply = await host.DoAsync("GET", "/backends");
        var item = reply.Data.GetProperty("backends")[0];

        Assert.True(item.GetProperty("has_api_key").GetBoolean());
        Assert.Equal("X-Org", item.GetProperty("headers")[0].GetString());
        Assert.Equal("api-version", item.GetProperty("query")[0].GetString());
        Assert.Equal("configured", item.GetProperty("source").GetString());
        Assert.DoesNotContain("secret", reply.Text, StringComparison.Ordinal);
        Assert.True(JsonElement.DeepEquals(WithoutMetrics(item), WithoutMetrics((await host.DoAsync("GET", "/backends/AZURE")).Data)));
    }

    [Fact]
    public async Task Item_ItsFields_AreTheConfigurationsKeys()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a")], HealthCheckEnabled = false });

        var told = (await host.DoAsync("GET", "/backends/a")).Data.EnumerateObject().Select(field => field.Name);

        Assert.Equal(
            BackendTable.Keys.Select(key => key == "api_key" ? "has_api_key" : key).Concat(["draining", "source", "changed_fields", "metrics"]).Order(),
            told.Order());
    }

    [Theory]
    [InlineData("GET", "/nothing", HttpStatusCode.NotFound, "unknown_route")]
    [InlineData("GET", "/backends/a/nothing", HttpStatusCode.NotFound, "unknown_route")]
    [InlineData("GET", "", HttpStatusCode.NotFound, "unknown_route")]
    [InlineData("PUT", "/backends/a", HttpStatusCode.MethodNotAllowed, "method_not_allowed")]
    [InlineData("GET", "/backends/a/drain", HttpStatusCode.MethodNotAllowed, "method_not_allowed")]
    [InlineData("GET", "/backends/nobody", HttpStatusCode.NotFound, "backend_not_found")]
    [InlineData("GET", "/history?step=59", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?step=x", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?from=yesterday", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?from=-Infinity", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?to=0001-01-01T00:00:00Z", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?from=0001-01-01T00:00:00Z&to=0001-01-01T00:01:00Z", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?to=9999-12-31T23:59:59Z", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?to=soon", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?from=200&to=100", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?from=0&step=60", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?backend=nobody", HttpStatusCode.NotFound, "backend_not_found")]
    [InlineData("GET", "/history?key=nobody", HttpStatusCode.NotFound, "key_not_found")]
    [InlineData("GET", "/history?key=a&backend=a", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/history?key=*&step=59", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/events?types=status,news", HttpStatusCode.BadRequest, "invalid_parameter")]
    [InlineData("GET", "/events?recent=501", HttpStatusCode.BadRequest, "invalid_parameter")]
    public async Task AnyPath_ThatCannotBeAnswered_IsAClearError(string method, string path, HttpStatusCode status, string code)
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a")], HealthCheckEnabled = false });

        var reply = await host.CallAsync(method, path);

        Assert.Equal((status, code), (reply.Status, reply.Code));
        Assert.Equal(status == HttpStatusCode.MethodNotAllowed, reply.Message.Content.Headers.Allow.Count > 0);
        Assert.True(reply.Message.Headers.Contains("X-Request-Id"));
    }

    [Fact]
    public async Task History_AfterRequests_TellsThePresentHour()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hi"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        for (var i = 0; i < 3; i++)
        {
            using var answer = await host.ChatAsync();
            await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        }

        await Await.Until(async () => await TotalAsync(host) >= 3, "three requests are in the history");
        var page = (await host.DoAsync("GET", "/history?step=600")).Data;

        Assert.Equal(3600, page.GetProperty("step").GetDouble());
        var backend = Assert.Single(page.GetProperty("backends").EnumerateArray());
        var point = Assert.Single(backend.GetProperty("points").EnumerateArray());
        Assert.Equal((3, 1.0), (point.GetProperty("successful_requests").GetInt32(), point.GetProperty("success_rate").GetDouble()));
        Assert.Empty(backend.GetProperty("trips").EnumerateArray());
    }

    private static async Task<int> TotalAsync(BalancerHost host)
    {
        var points = (await host.DoAsync("GET", "/history")).Data.GetProperty("backends")[0].GetProperty("points");
        return points.GetArrayLength() == 0 ? 0 : points[0].GetProperty("total_requests").GetInt32();
    }

    private static JsonElement WithoutMetrics(JsonElement item) =>
        JsonSerializer.SerializeToElement(item.EnumerateObject().Where(field => field.Name != "metrics").ToImmutableSortedDictionary(field => field.Name, field => field.Value));
}
