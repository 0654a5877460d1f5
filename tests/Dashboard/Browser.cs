using System.Collections.Concurrent;
using Microsoft.Playwright;
using Roadbalancer.Tests.Dashboard;

[assembly: AssemblyFixture(typeof(Browser))]

namespace Roadbalancer.Tests.Dashboard;

/// <summary>One Chromium for all tests of the page, started by the first of them.</summary>
public sealed class Browser : IAsyncDisposable
{
    private readonly SemaphoreSlim _once = new(1);
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>A window of its own, with nothing kept from others.</summary>
    internal async Task<Window> OpenAsync(Uri balancer, int width = 1280, int height = 900, ColorScheme theme = ColorScheme.Light)
    {
        var browser = await BrowserAsync();
        var context = await browser.NewContextAsync(new()
        {
            ViewportSize = new() { Width = width, Height = height },
            ColorScheme = theme,
            ReducedMotion = ReducedMotion.Reduce,
            Locale = "en-GB",
            TimezoneId = "UTC",
        });
        context.SetDefaultTimeout(20_000);
        return new Window(context, await context.NewPageAsync(), balancer);
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.CloseAsync();
        }

        _playwright?.Dispose();
        _once.Dispose();
    }

    private async Task<IBrowser> BrowserAsync()
    {
        await _once.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            _playwright ??= await Playwright.CreateAsync();
            return _browser ??= await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = "/usr/bin/chromium", Args = ["--no-sandbox", "--disable-dev-shm-usage"] });
        }
        finally
        {
            _once.Release();
        }
    }
}

/// <summary>A page on the dashboard, which keeps what it complains of and where it asks.</summary>
internal sealed class Window : IAsyncDisposable
{
    /// <summary>Statuses of replies that a test means to cause; any other is a complaint.</summary>
    private static readonly string[] Meant = ["400", "401", "403", "503"];

    private readonly IBrowserContext _context;
    private readonly Uri _balancer;
    private readonly ConcurrentQueue<string> _complaints = new();
    private readonly ConcurrentQueue<string> _strangers = new();

    public Window(IBrowserContext context, IPage page, Uri balancer)
    {
        (_context, Page, _balancer) = (context, page, balancer);
        page.Console += (_, message) => Keep(message.Type is "error" or "warning", message.Text);
        page.PageError += (_, error) => Keep(true, error);
        page.Request += (_, request) =>
        {
            if (new Uri(request.Url).GetLeftPart(UriPartial.Authority) != balancer.GetLeftPart(UriPartial.Authority))
            {
                _strangers.Enqueue(request.Url);
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Errors and warnings of the console, less replies that the test meant to cause.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    /// <summary>Requests to anywhere but the balancer.</summary>
    public IReadOnlyCollection<string> Strangers => _strangers;

    public async Task<Window> LoadAsync()
    {
        await Page.GotoAsync(new Uri(_balancer, "/dashboard").ToString());
        return this;
    }

    /// <summary>Loads, and waits for the first status.</summary>
    public async Task<Window> LoadLiveAsync()
    {
        await LoadAsync();
        await Page.Locator("body[data-link=live] #strategy-button").WaitForAsync();
        return this;
    }

    /// <summary>Presses Tab until what has the focus is called <paramref name="name"/>.</summary>
    public async Task TabToAsync(string name)
    {
        for (var presses = 0; presses < 80; presses++)
        {
            await Page.Keyboard.PressAsync("Tab");
            if (await FocusAsync() == name)
            {
                return;
            }
        }

        Assert.Fail($"Tab does not come to «{name}».");
    }

    public async Task PressAsync(params string[] keys)
    {
        foreach (var key in keys)
        {
            await Page.Keyboard.PressAsync(key);
        }
    }

    public async Task TypeAsync(string text)
    {
        await Page.Keyboard.PressAsync("Control+a");
        await Page.Keyboard.TypeAsync(text);
    }

    /// <summary>What has the focus, by its label or its text.</summary>
    public Task<string> FocusAsync() => Page.EvaluateAsync<string>(
        "() => { const at = document.activeElement; return at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent; }");

    public Task<string> TextAsync(string selector) => Page.Locator(selector).First.InnerTextAsync();

    /// <summary>Waits until the element's text has <paramref name="text"/> in it.</summary>
    public Task SeesAsync(string selector, string text) => Page.Locator(selector, new() { HasText = text }).First.WaitForAsync();

    public async ValueTask DisposeAsync() => await _context.CloseAsync();

    private void Keep(bool isComplaint, string text)
    {
        if (isComplaint && !Array.Exists(Meant, status => text.StartsWith($"Failed to load resource: the server responded with a status of {status}", StringComparison.Ordinal)))
        {
            _complaints.Enqueue(text);
        }
    }
}
