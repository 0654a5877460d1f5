using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Roadbalancer.Functions.Hosted;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Functions;

public sealed class ProxiedRequestsTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private readonly WebApplication _app;
    private RequestDelegate _endpoint = _ => Task.CompletedTask;

    public ProxiedRequestsTests()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        var requests = new ProxiedRequests(TimeSpan.FromSeconds(100), _time);
        _app.Run(http => requests.InvokeAsync(http, context => _endpoint(context)));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _app.StartAsync(Token);
        _http.BaseAddress = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task Request_ThatNothingElseEnds_IsCutOffBeforeTheHostLosesPatience()
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _endpoint = async http =>
        {
            await http.Response.WriteAsync("first", http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            await using var registration = http.RequestAborted.UnsafeRegister(_ => aborted.TrySetResult(), null);
            await aborted.Task;
        };
        using var response = await _http.GetAsync("/", HttpCompletionOption.ResponseHeadersRead, Token);

        _time.Advance(TimeSpan.FromSeconds(99));
        Assert.False(aborted.Task.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(1));
        await Await.For(aborted.Task, "the cut");
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync(Token));
    }

    [Fact]
    public async Task Request_ThatHasEnded_LeavesNoTimerBehind()
    {
        using var response = await _http.GetAsync("/", Token);
        await Await.Until(() => _time.Waiting == 0, "its timer is gone");
    }

    [Theory]
    [InlineData("app.azurewebsites.net", "https", "https://app.azurewebsites.net")]
    [InlineData("invented.example, app.azurewebsites.net:8443", "http, https", "https://app.azurewebsites.net:8443")]
    [InlineData("app.azurewebsites.net", "gopher", "http://app.azurewebsites.net")]
    public async Task ForwardedAddress_BecomesTheRequestsOwnAndItsSenderNobodyNear(string host, string proto, string expected)
    {
        (string Address, IPAddress? Sender, bool Left) seen = default;
        _endpoint = http =>
        {
            seen = ($"{http.Request.Scheme}://{http.Request.Host}", http.Connection.RemoteIpAddress, http.Request.Headers.ContainsKey("X-Forwarded-Host"));
            return Task.CompletedTask;
        };
        using var request = new HttpRequestMessage(HttpMethod.Get, "/");
        request.Headers.TryAddWithoutValidation("X-Forwarded-Host", host);
        request.Headers.TryAddWithoutValidation("X-Forwarded-Proto", proto);
        using var response = await _http.SendAsync(request, Token);

        Assert.Equal((expected, IPAddress.None, false), seen);
    }
}
