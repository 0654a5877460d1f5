using System.Text.Json;
using Microsoft.Playwright;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Admin;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Dashboard;

/// <summary>What can be done in the page, by keyboard alone, and taken back.</summary>
public sealed class DashboardActionTests(Browser browser) : IAsyncLifetime
{
    private BalancerHost _host = null!;
    private Window _window = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await BalancerHost.StartAsync(new BalancerOptions { Backends = [Pools.Backend("a"), Pools.Backend("b", weight: 2)], HealthCheckEnabled = false });
        _window = await (await browser.OpenAsync(_host.Url)).LoadLiveAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Assert.Empty(_window.Complaints);
        await _window.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task Drain_ByKeyboard_AsksThenDrainsAndCanBeTakenBack()
    {
        await ManageAsync("b");
        await _window.TabToAsync("Drain");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog", "Drain b?");
        await _window.SeesAsync("dialog", "New requests go to a.");
        Assert.False(await FactAsync("b", "draining"));

        await _window.PressAsync("Escape");
        Assert.Equal("Drain", await _window.FocusAsync());
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog", "Drain b?");
        Assert.Equal("Drain", await _window.FocusAsync());
        await _window.PressAsync("Enter");
        await _window.SeesAsync(".toast", "Backend b takes no new requests.");
        await _window.SeesAsync("tr[data-backend=b] .condition", "draining");
        Assert.True(await FactAsync("b", "draining"));
        Assert.Equal("Manage b", await _window.FocusAsync());

        await _window.PressAsync("Control+z");
        await _window.SeesAsync(".toast", "b is as it was.");
        await _window.SeesAsync("tr[data-backend=b] .condition", "well");
        Assert.False(await FactAsync("b", "draining"));
    }

    [Fact]
    public async Task DisableAndEnable_ByKeyboard_WarnsOfTheLastOne()
    {
        await ManageAsync("a");
        await DoAsync("Disable");
        await _window.SeesAsync(".toast", "Backend a is disabled.");
        await _window.SeesAsync("tr[data-backend=a] .condition", "off");
        Assert.False(await FactAsync("a", "enabled"));

        await ManageAsync("b");
        await _window.TabToAsync("Disable");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog", "No other backend is well: requests will fail.");
        Assert.Equal("Cancel", await _window.FocusAsync());
        await _window.PressAsync("Enter", "Escape");

        await ManageAsync("a");
        await DoAsync("Enable");
        await _window.SeesAsync("tr[data-backend=a] .condition", "well");
        Assert.True(await FactAsync("a", "enabled"));
    }

    [Fact]
    public async Task Reweight_ByKeyboard_ShowsErrorsAtTheFieldAndUndoRestoresTheConfiguration()
    {
        await ManageAsync("b");
        await _window.TabToAsync("Weight");
        await _window.TypeAsync("-1");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("[data-field=weight] .problem", "must be a whole number from 0 to 1,000,000");
        Assert.Equal("Weight", await _window.FocusAsync());
        Assert.Equal("true", await _window.Page.Locator("input[name=weight]").GetAttributeAsync("aria-invalid"));

        await _window.TypeAsync("7");
        await _window.PressAsync("Enter");
        await _window.SeesAsync(".toast", "Backend b was changed.");
        await _window.SeesAsync("tr[data-backend=b] td[data-label=Weight]", "7");
        await _window.SeesAsync("#events li", "weight 2 → 7");
        Assert.Equal("changed", (await BackendAsync("b")).GetProperty("source").GetString());

        await _window.TabToAsync("Undo");
        await _window.PressAsync("Enter");
        await _window.SeesAsync(".toast", "b is as it was.");
        await _window.SeesAsync("tr[data-backend=b] td[data-label=Weight]", "2");
        Assert.Equal("configured", (await BackendAsync("b")).GetProperty("source").GetString());
    }

    [Fact]
    public async Task AddAndRemove_ByKeyboard_AreTakenBackWhereThatIsPossible()
    {
        await _window.TabToAsync("Add backend");
        await _window.PressAsync("Enter");
        Assert.Equal("URL", await _window.FocusAsync());
        await _window.TypeAsync("ftp://nowhere");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("[data-field=url] .problem", "must be like");
        await _window.TypeAsync("http://c.test");
        await _window.PressAsync("Tab");
        await _window.TypeAsync("c");
        await _window.PressAsync("Enter");
        await _window.SeesAsync(".toast", "Backend c was added.");
        await _window.SeesAsync("tr[data-backend=c]", "c");

        await ManageAsync("c");
        await _window.TabToAsync("Remove");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog", "this cannot be undone");
        await _window.PressAsync("Escape", "Escape");
        await _window.TabToAsync("Undo");
        await _window.PressAsync("Enter");
        await _window.SeesAsync(".toast", "c is gone again.");
        await _window.Page.Locator("tr[data-backend=c]").WaitForAsync(new() { State = WaitForSelectorState.Detached });

        await _host.DoAsync("PATCH", "/backends/b", """{"weight":9}""");
        await _window.SeesAsync("tr[data-backend=b] td[data-label=Weight]", "9");
        await ManageAsync("b");
        await DoAsync("Remove", confirmIsFocused: false);
        await _window.Page.Locator("tr[data-backend=b]").WaitForAsync(new() { State = WaitForSelectorState.Detached });
        await _window.SeesAsync(".toast", "Backend b was removed.");
        await _window.PressAsync("Control+z");
        await _window.SeesAsync("tr[data-backend=b] td[data-label=Weight]", "9");
        Assert.Equal(9, (await BackendAsync("b")).GetProperty("weight").GetInt32());
    }

    [Fact]
    public async Task Strategy_ByKeyboard_IsSwitchedAndTakenBack()
    {
        await _window.TabToAsync("Change settings");
        await _window.PressAsync("Enter");
        Assert.Equal("Strategy", await _window.FocusAsync());
        await _window.Page.Keyboard.TypeAsync("least");
        await _window.PressAsync("Tab");
        await _window.TypeAsync("0");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("[data-field=health_check_interval] .problem", "must be");
        await _window.TypeAsync("15");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("#strategy", "least connections");
        var strategy = (await _host.DoAsync("GET", "/strategy")).Data;
        Assert.Equal(("least_connections", 15.0), (strategy.GetProperty("strategy").GetString(), strategy.GetProperty("health_check_interval").GetDouble()));

        await _window.TabToAsync("Undo");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("#strategy", "round robin");
        Assert.Empty((await _host.DoAsync("GET", "/strategy")).Data.GetProperty("changed_fields").EnumerateArray());
    }

    private async Task ManageAsync(string name)
    {
        await _window.TabToAsync($"Manage {name}");
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog h2", name);
    }

    /// <summary>Presses a button of the dialog, and the one of the same name in the question that follows.</summary>
    private async Task DoAsync(string label, bool confirmIsFocused = true)
    {
        await _window.TabToAsync(label);
        await _window.PressAsync("Enter");
        await _window.SeesAsync("dialog h2", $"{label} ");
        if (!confirmIsFocused)
        {
            await _window.TabToAsync(label);
        }

        await _window.PressAsync("Enter");
    }

    private async Task<JsonElement> BackendAsync(string name) => (await _host.DoAsync("GET", $"/backends/{name}")).Data;

    private async Task<bool> FactAsync(string name, string field) => (await BackendAsync(name)).GetProperty(field).GetBoolean();
}
