using System.Net;
using Microsoft.Playwright;
using Roadbalancer.Backends;
using Roadbalancer.Ledger;
using Roadbalancer.Options;
using Roadbalancer.State;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>Client keys, the pool's percentiles and what is not kept yet, in a real browser over a real balancer.</summary>
public sealed class DashboardKeysTests(Browser browser) : IAsyncLifetime
{
    private static readonly KeyLimits Limited = new() { RequestsPerMinute = 4, TokensPerMinute = 200_000, MaxConcurrency = 8, Models = ["m*"] };

    private readonly ScriptedUpstream _upstream = ScriptedUpstream.Start(Scripts.Chat("one two three"));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _upstream.DisposeAsync();

    [Fact]
    public async Task Keys_None_SaysWhatThatMeansAndShowsTheFirst()
    {
        await using var host = await BalancerHost.StartAsync([_upstream]);
        await using var window = await (await browser.OpenAsync(host.Url, width: 375)).LoadLiveAsync();
        await window.SeesAsync("#no-keys", "No client keys: whoever reaches this balancer may send requests.");
        Assert.False(await window.Page.Locator("#keys table").IsVisibleAsync());

        await host.DoAsync("POST", "/keys", """{"name":"team","requests_per_minute":60}""", HttpStatusCode.Created);

        await window.SeesAsync("tr[data-key=team] .limits", "60 requests a minute");
        await window.SeesAsync("tr[data-key=team] .expiry", "never");
        await window.SeesAsync("#events li", "Client keys changed by loopback");
        Assert.False(await window.Page.Locator("#no-keys").IsVisibleAsync());
        Assert.Empty(window.Complaints);
    }

    [Theory]
    [InlineData(375, ColorScheme.Dark)]
    [InlineData(1600, ColorScheme.Light)]
    public async Task Keys_AfterTraffic_ShowUseLimitsAndExpiryAsATableAtEveryWidth(int width, ColorScheme theme)
    {
        await using var host = await StartAsync();
        await using var window = await (await browser.OpenAsync(host.Url, width, theme: theme)).LoadLiveAsync();
        await window.SeesAsync("tr[data-key=team] .limits", "4 requests a minute");
        for (var request = 0; request < 6; request++)
        {
            using var answer = await host.ChatAsync(headers: ("Authorization", "Bearer k-team-secret"));
            Assert.Equal(request < 4 ? HttpStatusCode.OK : HttpStatusCode.TooManyRequests, answer.StatusCode);
        }

        // A change has the page read the keys at once.
        await host.DoAsync("POST", "/keys", """{"name":"new","expires":"2999-01-31"}""", HttpStatusCode.Created);

        await window.SeesAsync("tr[data-key=team] .limits", "4 of 4 requests a minute");
        var usage = (await host.DoAsync("GET", "/keys")).Data.GetProperty("keys")[0].GetProperty("usage");
        var row = window.Page.GetByRole(AriaRole.Table, new() { NameRegex = new("^Client keys") }).GetByRole(AriaRole.Row, new() { NameRegex = new("^team") });
        var cells = await row.GetByRole(AriaRole.Cell).AllTextContentsAsync();
        Assert.Equal(["4", "2", $"{usage.GetProperty("input_tokens")}", $"{usage.GetProperty("output_tokens")}"], cells.Take(4));
        Assert.Contains("of 200 k tokens a minute", cells[4].Replace('\u00a0', ' '), StringComparison.Ordinal);
        Assert.Contains("8 at the same time", cells[4], StringComparison.Ordinal);
        Assert.Contains("models m*", cells[4], StringComparison.Ordinal);
        await window.SeesAsync("tr[data-key=team] th", "refused lately");
        Assert.Equal("team", await window.Page.Locator("#keys tbody tr").First.GetAttributeAsync("data-key"));
        await window.SeesAsync("tr[data-key=old] .expiry", "expired");
        await window.SeesAsync("tr[data-key=new] .expiry", "2999-01-31");
        Assert.Equal(7, await window.Page.GetByRole(AriaRole.Columnheader).And(window.Page.Locator("#keys th")).CountAsync());
        Assert.Equal("fits", await window.Page.EvaluateAsync<string>("() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? 'fits' : 'wider'"));
        Assert.Empty(await PageChecks.FaintTextsAsync(window.Page));
        Assert.Empty(await PageChecks.NamelessAsync(window.Page));
        Assert.DoesNotContain("secret", await window.Page.ContentAsync(), StringComparison.Ordinal);
        Assert.Empty(window.Complaints);
        Assert.Empty(window.Strangers);
    }

    [Fact]
    public async Task Keys_Many_ShowFewUntilAsked()
    {
        await using var host = await BalancerHost.StartAsync(
            [_upstream], options => options with { ClientKeys = [.. Enumerable.Range(1, 30).Select(number => new ClientKey($"team-{number:00}", $"k-{number}"))] });
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        var rows = window.Page.Locator("#keys tbody tr");

        await window.SeesAsync("#keys-note", "30");
        Assert.Equal(8, await rows.CountAsync());
        await window.Page.ClickAsync("#keys-button");
        Assert.Equal(30, await rows.CountAsync());
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Tiles_AfterTraffic_ShowThePoolsOwnPercentiles()
    {
        await using var slow = ScriptedUpstream.Start(Scripts.Chat("one two three"));
        await using var host = await BalancerHost.StartAsync([_upstream, slow]);
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        for (var request = 0; request < 10; request++)
        {
            using var answer = await host.ChatAsync(stream: true);
            await answer.Content.ReadAsByteArrayAsync(Token);
        }

        await window.SeesAsync(".tile", "10 counted in all");
        await window.SeesAsync(".tile", "First token, p50");
        var notes = await window.Page.Locator(".tile .note").AllInnerTextsAsync();
        Assert.Equal(2, notes.Count(note => note.StartsWith("p90\u00a0", StringComparison.Ordinal) && note.Contains("· p99\u00a0", StringComparison.Ordinal)));
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Changes_NotKeptYet_AreSaidToBeUntilTheyAre()
    {
        await using var host = await BalancerHost.StartAsync([_upstream]);
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        Assert.Equal("", await window.TextAsync("#durable"));

        await host.DoAsync("PATCH", "/backends/a", """{"weight":5}""");
        await window.SeesAsync("#durable", "The last change is in force, but not kept for a restart yet.");

        await host.Service<PoolSync>().RootAsync(PoolEdits.None, Token);
        host.Service<Accounts>().TakeDurable(host.Pools.Edits.Version);
        await window.Page.Locator("#durable:empty").WaitForAsync(new() { State = WaitForSelectorState.Attached });
        Assert.Empty(window.Complaints);
    }

    private Task<BalancerHost> StartAsync() => BalancerHost.StartAsync([_upstream], options => options with
    {
        ClientKeys = [new("team", "k-team-secret") { Limits = Limited }, new("old", "k-old-secret") { Limits = new() { Expires = DateTimeOffset.UnixEpoch.AddYears(50) } }],
    });
}
