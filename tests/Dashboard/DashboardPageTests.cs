using System.Text.Json;
using Microsoft.Playwright;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.Stats;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>What the page shows, in a real browser over a real balancer.</summary>
public sealed class DashboardPageTests(Browser browser) : IAsyncLifetime
{
    private readonly ScriptedUpstream _good = ScriptedUpstream.Start(Scripts.Chat("one two three"));
    private readonly ScriptedUpstream _bad = ScriptedUpstream.Start(Scripts.Status(500));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _good.DisposeAsync();
        await _bad.DisposeAsync();
    }

    [Fact]
    public async Task Page_AfterTraffic_ShowsTheNumbersOfTheApiAndAsksNobodyElse()
    {
        await using var host = await StartAsync();
        await ChatAsync(host, 24);
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        await ChatAsync(host, 6);

        var metrics = (await host.DoAsync("GET", "/metrics")).Data.GetProperty("backends");
        var total = metrics.EnumerateArray().Sum(one => one.GetProperty("total_requests").GetInt32());
        var errors = metrics.EnumerateArray().Sum(one => one.GetProperty("outcomes").TryGetProperty("server_error", out var number) ? number.GetInt32() : 0);
        Assert.True(errors >= 3);
        await window.SeesAsync(".tile", $"{total} counted in all");
        await window.SeesAsync("#errors tbody tr", "server error");
        Assert.Equal($"{errors}", await window.TextAsync("#errors tbody tr td:last-child"));
        await window.SeesAsync("tr[data-backend=b] .condition", "out");
        await window.SeesAsync("#verdict-text", "b is out after failures");
        await window.SeesAsync("#events li", "was taken out");
        Assert.Equal("2 of 2", $"{await window.Page.Locator(".backends tbody tr").CountAsync()} of {metrics.GetArrayLength()}");
        await window.Page.ClickAsync("[aria-label='Manage a']");
        var ofA = metrics[0];
        await window.SeesAsync(".facts", $"{ofA.GetProperty("total_requests")}, of which {ofA.GetProperty("successful_requests")} succeeded and 0 failed (100%)");
        Assert.Empty(window.Complaints);
        Assert.Empty(window.Strangers);
    }

    [Fact]
    public async Task Page_BeforeAnyRequest_ShowsTheLineToTryAndThenWhatCame()
    {
        await using var host = await StartAsync();
        await using var window = await (await browser.OpenAsync(host.Url, width: 375)).LoadLiveAsync();

        await window.SeesAsync("#empty code", $"curl -N {host.Url}v1/chat/completions");
        Assert.False(await window.Page.Locator("#traffic").IsVisibleAsync());
        await AssertNoOverflowAsync(window);

        await ChatAsync(host, 1);
        await window.Page.Locator("#traffic .plot").WaitForAsync();
        Assert.False(await window.Page.Locator("#empty").IsVisibleAsync());
        Assert.Empty(window.Complaints);
    }

    [Theory]
    [InlineData(ColorScheme.Light)]
    [InlineData(ColorScheme.Dark)]
    public async Task Page_InEitherTheme_IsLegibleAndFitsEveryWidth(ColorScheme theme)
    {
        await using var host = await StartAsync();
        await ChatAsync(host, 12);
        await using var window = await (await browser.OpenAsync(host.Url, theme: theme)).LoadLiveAsync();
        await window.Page.Locator(".legend .swatch.slot0").WaitForAsync();

        foreach (var width in new[] { 320, 375, 768, 1100, 1600 })
        {
            await window.Page.SetViewportSizeAsync(width, 900);
            await AssertNoOverflowAsync(window);
        }

        Assert.Empty(await PageChecks.FaintTextsAsync(window.Page));
        await window.Page.ClickAsync("[aria-label='Manage b']");
        Assert.Empty(await PageChecks.FaintTextsAsync(window.Page));
        await window.PressAsync("Escape");

        var ground = await PageChecks.GroundAsync(window.Page);
        await window.Page.ClickAsync("#theme-button");
        await window.Page.ClickAsync("#theme-button");
        var chosen = await window.TextAsync("#theme-button");
        await window.Page.ReloadAsync();
        Assert.Equal("Theme: dark", chosen);
        Assert.Equal("Theme: dark", await window.TextAsync("#theme-button"));
        Assert.Equal(theme == ColorScheme.Dark, ground == await PageChecks.GroundAsync(window.Page));
        Assert.Equal("none", await window.Page.EvaluateAsync<string>("() => getComputedStyle(document.querySelector('.lamp')).animationName"));
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_FiftyBackends_ShowsFewUntilAskedAndFinds()
    {
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            HealthCheckEnabled = false,
            Cooldown = TimeSpan.FromMinutes(1),
            CooldownMax = TimeSpan.FromMinutes(1),
            Backends = [.. Enumerable.Range(1, 50).Select(number => new Backend { Name = $"gpu-{number:00}", BaseUrl = number == 33 ? _bad.BaseUrl : _good.BaseUrl })],
        });
        await ChatAsync(host, 170);
        await using var window = await (await browser.OpenAsync(host.Url, width: 375)).LoadLiveAsync();
        await window.SeesAsync("#verdict-text", "gpu-33 is out after failures; 49 backends serve");
        var rows = window.Page.Locator(".backends tbody tr");

        Assert.Equal(12, await rows.CountAsync());
        Assert.Equal("gpu-33", await rows.First.GetAttributeAsync("data-backend"));
        Assert.Equal(8, await window.Page.Locator("#traffic .legend li").CountAsync());
        await window.SeesAsync("#traffic .legend li", "43 others");
        await window.SeesAsync("#calm", "The 49 others were well all along.");
        await AssertNoOverflowAsync(window);

        await window.Page.FillAsync("#filter", "gpu-4");
        Assert.Equal(10, await rows.CountAsync());
        await window.SeesAsync("#backends-note", "10 of 50");
        await window.Page.FillAsync("#filter", "out");
        Assert.Equal(1, await rows.CountAsync());
        await window.Page.FillAsync("#filter", "");
        await window.Page.ClickAsync("#all-button");
        Assert.Equal(50, await rows.CountAsync());
        await window.Page.SetViewportSizeAsync(1600, 900);
        await AssertNoOverflowAsync(window);
        await window.Page.ClickAsync("thead button:has-text('Backend')");
        await window.Page.ClickAsync("thead button:has-text('Backend')");
        Assert.Equal("gpu-50", await rows.First.GetAttributeAsync("data-backend"));
        Assert.Equal("descending", await window.Page.Locator("thead th").First.GetAttributeAsync("aria-sort"));
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_HostileNames_StayText()
    {
        const string Name = "<img src=x onerror=alert(1)>";
        await using var host = await BalancerHost.StartAsync(new BalancerOptions
        {
            HealthCheckEnabled = false,
            Backends = [new Backend { Name = Name, BaseUrl = _bad.BaseUrl, ModelName = "<script>alert(2)</script>", Tags = ["\"><b>tag"] }, new Backend { Name = "b", BaseUrl = _good.BaseUrl }],
        });
        _bad.Script = Scripts.ErrorBody(500, "<img/src=x/onerror=alert(3)>", "<img src=x onerror=alert(4)>");
        await ChatAsync(host, 12);
        await using var window = await browser.OpenAsync(host.Url);
        var alerted = false;
        window.Page.Dialog += async (_, dialog) =>
        {
            alerted = true;
            await dialog.DismissAsync();
        };
        await window.LoadLiveAsync();
        await window.SeesAsync(".backends tbody th", Name);
        await window.SeesAsync("#events li", Name);
        await window.Page.GetByLabel($"Manage {Name}").ClickAsync();
        await window.SeesAsync(".facts", "<script>alert(2)</script>");

        Assert.Equal(1, await window.Page.EvaluateAsync<int>("() => document.images.length"));
        Assert.Equal(0, await window.Page.Locator("b, main script").CountAsync());
        Assert.False(alerted);
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_DaysOfHistory_AreDrawnFromWhatIsKept()
    {
        await using var host = await StartAsync();
        await ChatAsync(host, 2);
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        await window.SeesAsync("#traffic .legend", "a");
        await window.Page.GetByLabel("24 h").CheckAsync();
        await window.Page.Locator("#traffic .area").First.WaitForAsync();
        await window.SeesAsync("#traffic .note", "Times of hours and days are means");
        await window.SeesAsync("#traffic .legend", "a");
        Assert.Matches("mean: a ", await window.Page.Locator("#response .plot").GetAttributeAsync("aria-label"));
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_EveryControlAndPicture_HasANameAndHeadingsAreInOrder()
    {
        await using var host = await StartAsync();
        await ChatAsync(host, 12);
        await using var window = await (await browser.OpenAsync(host.Url)).LoadLiveAsync();
        await window.Page.Locator(".legend .swatch.slot0").WaitForAsync();

        Assert.Empty(await PageChecks.NamelessAsync(window.Page));
        Assert.Empty(await PageChecks.SkippedHeadingsAsync(window.Page));
        foreach (var opener in new[] { "[aria-label='Manage a']", "#add-button", "#strategy-button", "#key-button" })
        {
            await window.Page.ClickAsync(opener);
            await window.Page.Locator("dialog[open]").WaitForAsync();
            Assert.Empty(await PageChecks.NamelessAsync(window.Page));
            await window.PressAsync("Escape");
            await window.Page.Locator("dialog").WaitForAsync(new() { State = WaitForSelectorState.Detached });
            Assert.True(await window.Page.EvaluateAsync<bool>("opener => document.activeElement === document.querySelector(opener)", opener), $"{opener} has not the focus back.");
        }

        Assert.Equal(1, await window.Page.Locator("main").CountAsync());
        Assert.Equal("polite", await window.Page.Locator("#verdict-spoken").GetAttributeAsync("aria-live"));
        await window.Page.Locator("#traffic .plot").FocusAsync();
        await window.PressAsync("End");
        Assert.Matches("^[0-9:]+: .+", await window.Page.Locator("#traffic [role=status]").Last.TextContentAsync());
        Assert.Matches("Attempts per second by backend, stacked\\. a ", await window.Page.Locator("#traffic .plot").GetAttributeAsync("aria-label"));
    }

    private static async Task AssertNoOverflowAsync(Window window) =>
        Assert.Equal("fits", await window.Page.EvaluateAsync<string>(
            "() => { const root = document.documentElement; return root.scrollWidth <= root.clientWidth ? 'fits' : `${root.scrollWidth} > ${root.clientWidth}`; }"));

    private Task<BalancerHost> StartAsync() => BalancerHost.StartAsync([_good, _bad], options => options with { Cooldown = TimeSpan.FromMinutes(1), CooldownMax = TimeSpan.FromMinutes(1) });

    private static async Task ChatAsync(BalancerHost host, int count)
    {
        for (var sent = 0; sent < count; sent++)
        {
            using var response = await host.ChatAsync(stream: sent % 2 == 0);
            await response.Content.ReadAsByteArrayAsync(Token);
        }
    }
}
