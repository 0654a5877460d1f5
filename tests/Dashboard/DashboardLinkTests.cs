using Microsoft.Playwright;
using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>The page and its connection: lost and found, and let in only with a key.</summary>
public sealed class DashboardLinkTests(Browser browser)
{
    private static readonly BalancerOptions Options = new() { Backends = [Pools.Backend("a"), Pools.Backend("b")], HealthCheckEnabled = false };

    [Fact]
    public async Task Page_BalancerRestarts_IsStaleThenLiveAgainByItself()
    {
        var first = await BalancerHost.StartAsync(Options);
        await using var window = await (await browser.OpenAsync(first.Url)).LoadLiveAsync();
        await first.DisposeAsync();

        await window.SeesAsync("#link-text", "Reconnecting");
        await window.SeesAsync("#link-age", "what is shown was known");
        Assert.True(await window.Page.EvaluateAsync<bool>("() => document.body.classList.contains('stale')"));
        Assert.Equal(2, await window.Page.Locator(".backends tbody tr").CountAsync());
        Assert.True(await window.Page.Locator("#retry").IsVisibleAsync());

        await using var second = await BalancerHost.StartAsync(Options with { Backends = [.. Options.Backends, Pools.Backend("c")] }, port: first.Url.Port);
        await window.SeesAsync("#link-text", "Live");
        await window.Page.Locator("tr[data-backend=c]").WaitForAsync();
        Assert.False(await window.Page.EvaluateAsync<bool>("() => document.body.classList.contains('stale')"));
        await window.Page.ClickAsync("[aria-label='Manage c']");
        await window.SeesAsync(".facts", "http://c.test/v1");
        Assert.All(window.Complaints, complaint => Assert.StartsWith("Failed to load resource: net::ERR_", complaint));
    }

    /// <summary>Answers the first request for events with one change and the stream's end, and notes which event each request has seen last.</summary>
    private const string FirstStreamEnds = """
        window.asked = [];
        const send = window.fetch;
        window.fetch = (url, options) => {
          if (!String(url).includes("/events?")) {
            return send(url, options);
          }

          window.asked.push(new Headers(options.headers).get("Last-Event-ID") ?? "");
          const change = { time: "2026-11-22T07:00:00.000Z", by: "ops", action: "strategy_changed", backend: null, version: 3, backends: [], settings: { before: { strategy: "random" }, after: { strategy: "round_robin" } } };
          return window.asked.length > 1 ? send(url, options)
            : Promise.resolve(new Response(`retry: 10\n\nid: x-7\nevent: change\ndata: ${JSON.stringify(change)}\n\n`, { headers: { "Content-Type": "text/event-stream" } }));
        };
        """;

    [Fact]
    public async Task Page_StreamEndsInOrder_GoesOnWithWhatItHadMissed()
    {
        await using var host = await BalancerHost.StartAsync(Options);
        await using var window = await browser.OpenAsync(host.Url);
        await window.Page.AddInitScriptAsync(FirstStreamEnds);
        await window.LoadLiveAsync();

        Assert.Equal(["", "x-7"], await window.Page.EvaluateAsync<string[]>("() => window.asked"));
        await window.SeesAsync("#events li", "Strategy changed by ops: strategy random → round_robin");
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_AdminKeysAreSet_AsksForOneAndKeepsItForTheTab()
    {
        const string ClientKey = "k-client-secret";
        await using var host = await BalancerHost.StartAsync(Options with { AdminKeys = [new("ops", AdminClient.Key)], ClientKeys = [new("team", ClientKey)] });
        await using var window = await (await browser.OpenAsync(host.Url)).LoadAsync();
        await window.SeesAsync("#refused h2", "An admin key is needed");
        Assert.False(await window.Page.Locator("#content").IsVisibleAsync());

        await window.TabToAsync("Enter an admin key");
        await window.PressAsync("Enter");
        Assert.Equal("Admin key", await window.FocusAsync());
        await window.TypeAsync("k-wrong");
        await window.PressAsync("Enter");
        await window.SeesAsync("[data-field=key] .problem", "This balancer does not know that key.");
        await window.TypeAsync(ClientKey);
        await window.PressAsync("Enter");
        await window.SeesAsync("[data-field=key] .problem", "is a client's");
        await window.TypeAsync("schlüssel");
        await window.PressAsync("Enter");
        await window.SeesAsync("[data-field=key] .problem", "printable ASCII");
        await window.TypeAsync(AdminClient.Key);
        await window.PressAsync("Enter");
        await window.SeesAsync("#link-text", "Live");
        await window.SeesAsync("#verdict-text", "Both backends are well");

        await window.Page.ReloadAsync();
        await window.SeesAsync("#link-text", "Live");
        Assert.Equal(0, await window.Page.EvaluateAsync<int>("key => Object.values(localStorage).filter(value => value.includes(key)).length", AdminClient.Key));
        Assert.DoesNotContain(AdminClient.Key, await window.Page.ContentAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain(AdminClient.Key, window.Page.Url, StringComparison.Ordinal);

        await window.Page.ClickAsync("#key-button");
        await window.Page.ClickAsync("text=Forget it");
        await window.SeesAsync("#refused h2", "An admin key is needed");
        Assert.Equal(0, await window.Page.EvaluateAsync<int>("() => sessionStorage.length"));
        Assert.Empty(window.Complaints);
    }

    [Fact]
    public async Task Page_UnderTheFunctionsHostWithoutKeys_SaysWhichSettingToMake()
    {
        await using var host = await BalancerHost.StartAsync(Options with { BehindFunctionsHost = true });
        await using var window = await (await browser.OpenAsync(host.Url)).LoadAsync();

        await window.SeesAsync("#refused-text", "set ROADBALANCER_ADMIN_KEYS");
        Assert.False(await window.Page.Locator("#refused-key").IsVisibleAsync());
        Assert.Empty(window.Complaints);
    }
}
