using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class ModelsEndpointTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private readonly Forwarder _forwarder = new(TimeProvider.System);
    private readonly ModelsEndpoint _models;
    private readonly ScriptedUpstream _a = ScriptedUpstream.Start(Scripts.Hang);
    private readonly ScriptedUpstream _b = ScriptedUpstream.Start(Scripts.Hang);

    public ModelsEndpointTests() => _models = new ModelsEndpoint(_forwarder, _time);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _models.Dispose();
        _forwarder.Dispose();
        await _a.DisposeAsync();
        await _b.DisposeAsync();
    }

    [Theory]
    [InlineData("GET", "models", true)]
    [InlineData("GET", "models/", true)]
    [InlineData("GET", "models/org/name", true)]
    [InlineData("GET", "modelsx", false)]
    [InlineData("POST", "models", false)]
    [InlineData("DELETE", "models/x", false)]
    public void Serves_MethodAndPath_AreTold(string method, string path, bool expected) => Assert.Equal(expected, ModelsEndpoint.Serves(method, path));

    [Fact]
    public async Task List_SeveralBackends_IsTheirUnion()
    {
        _a.ProbeScript = Scripts.Models("m1", "shared");
        _b.ProbeScript = Scripts.Models("shared", "m2");
        var pool = PoolOf(new Backend { Name = "c", BaseUrl = _a.BaseUrl, ModelName = "only" }, new Backend { Name = "d", BaseUrl = _a.BaseUrl, Enabled = false, ModelName = "disabled" });
        Assert.Equal(["m1", "m2", "only", "shared"], (await ListAsync(pool)).Order());
    }

    [Fact]
    public async Task List_WithinTheCache_AsksOnce()
    {
        _a.ProbeScript = Scripts.Models("m1");
        _b.ProbeScript = Scripts.Models("m2");
        var pool = PoolOf();
        await ListAsync(pool);
        _time.Advance(TimeSpan.FromSeconds(9));
        await ListAsync(pool);
        Assert.Single(_a.Probes);
        _time.Advance(TimeSpan.FromSeconds(2));
        await ListAsync(pool);
        Assert.Equal(2, _a.Probes.Count);
        await ListAsync(PoolOf());
        Assert.Equal(3, _a.Probes.Count);
    }

    [Fact]
    public async Task List_BackendFallsSilent_KeepsWhatItSaidLast()
    {
        _a.ProbeScript = Scripts.Models("m1");
        _b.ProbeScript = Scripts.Models("m2");
        var pool = PoolOf();
        await ListAsync(pool);
        _a.ProbeScript = Scripts.Status(500);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(["m1", "m2"], (await ListAsync(pool)).Order());
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("[]")]
    [InlineData("""{"data":7}""")]
    [InlineData("""{"data":[7,{"id":7},{}]}""")]
    [InlineData("""{"data":[{"id":"\ud800"}]}""")]
    [InlineData("""{"data":[{"id":"x","owned_by":"\ud800"}]}""")]
    public async Task List_OneBackendTalksNonsense_HasTheOthersModels(string body)
    {
        _a.ProbeScript = Scripts.Respond(200, body);
        _b.ProbeScript = Scripts.Models("m2");
        Assert.Contains("m2", await ListAsync(PoolOf()));
    }

    [Fact]
    public async Task List_NobodyAnswers_Is503()
    {
        _a.ProbeScript = Scripts.Status(500);
        _b.ProbeScript = Scripts.ResetBeforeHeaders;
        var http = await GetAsync(PoolOf(new Backend { Name = "c", BaseUrl = _a.BaseUrl, Enabled = false }), "models");
        Assert.Equal((503, "5"), (http.Response.StatusCode, http.Response.Headers.RetryAfter.ToString()));
    }

    [Fact]
    public async Task List_BackendWithoutModels_IsAnEmptyList()
    {
        _a.ProbeScript = Scripts.Models();
        _b.ProbeScript = Scripts.Models();
        Assert.Empty(await ListAsync(PoolOf()));
    }

    [Theory]
    [InlineData("models/org/m%201", 200)]
    [InlineData("models/org%2Fm%201", 200)]
    [InlineData("models/absent", 404)]
    public async Task One_Id_IsFoundOrNot(string path, int status)
    {
        _a.ProbeScript = Scripts.Models("org/m 1");
        _b.ProbeScript = Scripts.Models();
        var http = await GetAsync(PoolOf(), path);
        Assert.Equal(status, http.Response.StatusCode);
        using var json = JsonDocument.Parse(Body(http));
        Assert.Equal(status == 200, json.RootElement.TryGetProperty("id", out _));
    }

    private static string Body(HttpContext http) => Encoding.UTF8.GetString(((MemoryStream)http.Response.Body).ToArray());

    private Pool PoolOf(params Backend[] more) => Pools.Of(
        new BalancerOptions(), [new Backend { Name = "a", BaseUrl = _a.BaseUrl }, new Backend { Name = "b", BaseUrl = _b.BaseUrl }, .. more]);

    private async Task<HttpContext> GetAsync(Pool pool, string path)
    {
        var http = new DefaultHttpContext { Response = { Body = new MemoryStream() } };
        if (await _models.WriteAsync(http, pool, path, key: null, "req_1") is { } error)
        {
            await error.WriteAsync(http, "req_1");
        }

        return http;
    }

    private async Task<string[]> ListAsync(Pool pool)
    {
        var http = await GetAsync(pool, "models");
        Assert.Equal((200, "application/json"), (http.Response.StatusCode, http.Response.ContentType));
        using var json = JsonDocument.Parse(Body(http));
        return [.. json.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!)];
    }
}
