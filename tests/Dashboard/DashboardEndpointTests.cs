using System.IO.Compression;
using System.Net;
using System.Text.RegularExpressions;
using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>The dashboard's files as they are served.</summary>
public sealed partial class DashboardEndpointTests : IAsyncLifetime
{
    private BalancerHost _host = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _host = await BalancerHost.StartAsync(new BalancerOptions
    {
        Backends = [Pools.Backend("a") with { ApiKey = "sk-of-the-backend" }],
        HealthCheckEnabled = false,
        AdminKeys = [new("ops", AdminClient.Key)],
    });

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Get_WithoutTheSlash_LeadsToThePageWhateverPathIsBefore()
    {
        using var response = await _host.Http.GetAsync("/dashboard", Token);

        Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        Assert.Equal("dashboard/", response.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task Get_EveryFile_IsThereWithoutAKeyUnderAStrictPolicy()
    {
        var seen = new HashSet<string>();
        var ahead = new Queue<string>([""]);
        while (ahead.TryDequeue(out var file))
        {
            using var response = await _host.Http.GetAsync("/dashboard/" + file, Token);
            var text = await response.Content.ReadAsStringAsync(Token);

            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{file}: {response.StatusCode}");
            Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("no-referrer", Assert.Single(response.Headers.GetValues("Referrer-Policy")));
            Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
            var policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
            Assert.Equal(
                ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "frame-ancestors 'none'", "base-uri 'none'",
                    "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"],
                policy.Split("; "));
            Assert.DoesNotMatch(Elsewhere(), text);
            Assert.DoesNotMatch(Markup(), text);
            foreach (var name in Mentioned().Matches(text).Select(match => match.Groups[1].Value).Where(seen.Add))
            {
                ahead.Enqueue(name);
            }
        }

        Assert.Subset(seen, new HashSet<string> { "app.js", "base.css", "icon.svg", "api.js", "stream.js" });
        Assert.Equal(Directory.GetFiles(Repository.PathOf("src", "Core", "Admin", "Dashboard", "Page")).Select(Path.GetFileName).Where(name => name != "index.html").Order(), seen.Order());
    }

    [Fact]
    public async Task Get_WhatIsKnownAlready_IsNotSentAgain()
    {
        using var plain = await GetAsync("app.js");
        using var brotli = await GetAsync("app.js", ("Accept-Encoding", "gzip, br;q=0.8"));
        using var refused = await GetAsync("app.js", ("Accept-Encoding", "br;q=0.0"));
        using var again = await GetAsync("app.js", ("If-None-Match", plain.Headers.ETag!.ToString()));
        using var otherForm = await GetAsync("app.js", ("If-None-Match", brotli.Headers.ETag!.ToString()));

        await using var unpacking = new BrotliStream(await brotli.Content.ReadAsStreamAsync(Token), CompressionMode.Decompress);
        using var unpacked = new MemoryStream();
        await unpacking.CopyToAsync(unpacked, Token);
        Assert.Equal(await plain.Content.ReadAsByteArrayAsync(Token), unpacked.ToArray());
        Assert.Equal("br", Assert.Single(brotli.Content.Headers.ContentEncoding));
        Assert.Empty(refused.Content.Headers.ContentEncoding);
        Assert.NotEqual(plain.Headers.ETag, brotli.Headers.ETag);
        Assert.Equal((HttpStatusCode.NotModified, 0), (again.StatusCode, (await again.Content.ReadAsByteArrayAsync(Token)).Length));
        Assert.Equal(HttpStatusCode.OK, otherForm.StatusCode);
    }

    [Theory]
    [InlineData("GET", "/dashboard/nothing.js", HttpStatusCode.NotFound)]
    [InlineData("GET", "/dashboard/../ServerSetup.cs", HttpStatusCode.NotFound)]
    [InlineData("GET", "/dashboard/%2e%2e/secrets", HttpStatusCode.NotFound)]
    [InlineData("POST", "/dashboard/", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/dashboards", HttpStatusCode.NotFound)]
    public async Task Request_ForAnythingElse_IsRefused(string method, string path, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await _host.Http.SendAsync(request, Token);

        Assert.Equal(status, response.StatusCode);
    }

    private async Task<HttpResponseMessage> GetAsync(string file, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/dashboard/" + file);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await _host.Http.SendAsync(request, Token);
    }

    /// <summary>An address outside; the namespace of SVG and examples in placeholders are none.</summary>
    [GeneratedRegex("""https?://(?!www\.w3\.org/2000/svg|host:8000)|["'(]//[a-z]""")]
    private static partial Regex Elsewhere();

    /// <summary>Ways to make markup of a text, and what the policy would stop.</summary>
    [GeneratedRegex("""innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\sstyle="|\son[a-z]+=\x22""")]
    private static partial Regex Markup();

    [GeneratedRegex("""(?:href=|src=|from |import )"(?:\./)?([a-z-]+\.(?:js|css|svg))\x22""")]
    private static partial Regex Mentioned();
}
