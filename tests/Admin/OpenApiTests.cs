using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Roadbalancer.Admin;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

public class OpenApiTests
{
    [Fact]
    public async Task Document_ItsOperations_AreTheRouteTable()
    {
        await using var host = await StartAsync();
        var table = host.Service<AdminRoutes>().Table.Select(route => (route.Method, route.Path));

        Assert.Equal(table.Order(), ApiDescription.Operations.Order());
    }

    [Fact]
    public void Document_EveryReference_LeadsSomewhere()
    {
        var text = ApiDescription.Root.GetRawText();
        var references = Regex.Matches(text, "\"#/(components/[A-Za-z/]+)\"").Select(match => match.Groups[1].Value).Distinct().ToList();

        Assert.NotEmpty(references);
        Assert.All(references, path => Assert.Equal(JsonValueKind.Object, path.Split('/').Aggregate(ApiDescription.Root, (at, part) => at.GetProperty(part)).ValueKind));
    }

    [Fact]
    public void Document_FieldsOfANewBackend_AreTheConfigurationsKeys()
    {
        var described = ApiDescription.Root.GetProperty("components").GetProperty("schemas").GetProperty("NewBackend").GetProperty("properties").EnumerateObject().Select(field => field.Name);

        Assert.Equal(BackendTable.Keys.Order(), described.Order());
    }

    [Theory]
    [InlineData("/api/v1/openapi.json")]
    [InlineData("/api/v1/load_balancer/openapi.json")]
    public async Task Get_WithoutAKey_IsTheDocument(string path)
    {
        await using var host = await StartAsync();

        using var response = await host.Http.GetAsync(path, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(JsonElement.DeepEquals(ApiDescription.Root, JsonDocument.Parse(text).RootElement));
    }

    [Fact]
    public async Task Page_EveryRouteOfTheTable_IsInIt()
    {
        var page = await File.ReadAllTextAsync(Repository.PathOf("docs", "management-api.md"), TestContext.Current.CancellationToken);
        await using var host = await StartAsync();

        Assert.All(host.Service<AdminRoutes>().Table, route =>
            Assert.Contains(route.Path.Split('/')[^1] is "{name}" ? $"{route.Method} /backends/{{name}}" : route.Path.Split('/')[^1], page, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Faults_AReplyThatIsNotAsDescribed_AreFound()
    {
        await using var host = await StartAsync();
        var status = (await host.GetAsync("/status")).Text;

        Assert.NotEmpty(ApiDescription.Faults("GET", "/status", 200, JsonDocument.Parse(status.Replace("\"in_flight\":0", "\"in_flight\":-1", StringComparison.Ordinal)).RootElement));
        Assert.NotEmpty(ApiDescription.Faults("GET", "/status", 200, JsonDocument.Parse(status.Replace("\"strategy\"", "\"strateg\"", StringComparison.Ordinal)).RootElement));
        Assert.NotEmpty(ApiDescription.Faults("GET", "/status", 418, JsonDocument.Parse(status).RootElement));
    }

    private static Task<BalancerHost> StartAsync() => BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a")], HealthCheckEnabled = false, AdminKeys = [] });
}
