using System.Net;
using System.Text.Json;
using Roadbalancer.Admin;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Admin;

public class AdminEventTests
{
    private static readonly BalancerOptions Two = new() { Backends = [Pools.Backend("a") with { ApiKey = "k-secret" }, Pools.Backend("b")], HealthCheckEnabled = false, FailureThreshold = 1 };

    [Fact]
    public async Task Events_ATransitionAChangeAndAStatus_AreAsDescribed()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await using var events = await Events.OpenAsync(host);

        await FailAsync(host, 0);
        await host.DoAsync("PATCH", "/backends/b", """{"weight":5,"api_key":"k-secret-2"}""");
        var transition = await events.NextAsync("transition");
        var change = await events.NextAsync("change");
        var status = await events.NextAsync("status");

        Assert.Equal("retry: 2000", events.First);
        Assert.Equal(("a", "opened", "unhealthy", "ServerError"), (Text(transition, "backend"), Text(transition, "kind"), Text(transition, "status"), Text(transition, "cause")));
        Assert.Equal(("loopback", "backend_changed", "b"), (Text(change, "by"), Text(change, "action"), Text(change, "backend")));
        Assert.True(JsonElement.DeepEquals(
            JsonDocument.Parse("""[{"name":"b","before":{"weight":1,"has_api_key":false,"api_key":null},"after":{"weight":5,"has_api_key":true,"api_key":"***"}}]""").RootElement,
            change.Data.GetProperty("backends")), change.Data.GetRawText());
        Assert.Equal(2, status.Data.GetProperty("backends").GetArrayLength());
        Assert.NotNull(transition.Id);
        Assert.NotEqual(transition.Id, change.Id);
        Assert.Null(status.Id);
        Assert.Empty(ApiDescription.Faults("TransitionEvent", transition.Data));
        Assert.Empty(ApiDescription.Faults("ChangeEvent", change.Data));
        Assert.Empty(ApiDescription.Faults("StatusEvent", status.Data));
        Assert.DoesNotContain("secret", events.All, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Events_WithTheLastId_BeginWithWhatWasMissed()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        string? seen;
        await using (var events = await Events.OpenAsync(host, "?types=change"))
        {
            await host.DoAsync("POST", "/backends/a/drain");
            seen = (await events.NextAsync("change")).Id;
        }

        await host.DoAsync("POST", "/backends/a/enable");
        await host.DoAsync("POST", "/backends/b/drain");
        await using var again = await Events.OpenAsync(host, "?types=change", seen);
        await using var fresh = await Events.OpenAsync(host, "?types=change&recent=1");
        await using var foreign = await Events.OpenAsync(host, "?types=change&recent=3", "another-7");

        Assert.Equal("a", Text(await foreign.NextAsync("change"), "backend"));
        Assert.Equal("b", Text(await fresh.NextAsync("change"), "backend"));
        Assert.Equal("backend_enabled", Text(await again.NextAsync("change"), "action"));
        Assert.Equal("backend_drained", Text(await again.NextAsync("change"), "action"));
    }

    [Fact]
    public async Task Events_ANewConfigurationAResetAndHealthChecks_AreChanges()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await using var events = await Events.OpenAsync(host, "?types=change,transition");

        host.Pools.Swap(Two with { Backends = [Two.Backends[0], Pools.Backend("c")] });
        await host.DoAsync("POST", "/backends/a/reset");
        await host.DoAsync("POST", "/health_check/start");

        var configuration = await events.NextAsync("change");
        Assert.Equal(("configuration", "configuration"), (Text(configuration, "by"), Text(configuration, "action")));
        Assert.Equal(["b", "c"], configuration.Data.GetProperty("backends").EnumerateArray().Select(backend => backend.GetProperty("name").GetString()!));
        Assert.Equal("backend_reset", Text(await events.NextAsync("change"), "action"));
        Assert.Equal("reset", Text(await events.NextAsync("transition"), "kind"));
        var started = await events.NextAsync("change");
        Assert.Equal("health_checks_started", Text(started, "action"));
        Assert.True(started.Data.GetProperty("settings").GetProperty("after").GetProperty("health_check_running").GetBoolean());
    }

    [Fact]
    public async Task Events_ChangesAreJoinedWithTheLedger_AreNotToldTwice()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await using var events = await Events.OpenAsync(host, "?types=change");
        await host.DoAsync("POST", "/backends/a/drain");
        var version = host.Pools.Edits.Version;

        await host.Service<PoolSync>().RootAsync(PoolEdits.None, TestContext.Current.CancellationToken);
        await host.DoAsync("POST", "/backends/b/disable");

        Assert.True(host.Pools.Edits.Version > version);
        Assert.Equal("backend_drained", Text(await events.NextAsync("change"), "action"));
        Assert.Equal("backend_disabled", Text(await events.NextAsync("change"), "action"));
    }

    [Fact]
    public async Task Status_AfterRequests_TellsOfTheLastMinute()
    {
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello there"));
        await using var host = await BalancerHost.StartAsync([upstream]);
        await using var events = await Events.OpenAsync(host, "?types=status");
        await events.NextAsync("status");
        using (var answer = await host.ChatAsync())
        {
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        }

        Event status;
        do
        {
            status = await events.NextAsync("status");
        }
        while (status.Data.GetProperty("backends")[0].GetProperty("total_requests").GetInt32() == 0);

        var backend = status.Data.GetProperty("backends")[0];
        Assert.Equal(1, backend.GetProperty("recent").GetProperty("successful_requests").GetInt32());
        Assert.True(JsonElement.DeepEquals(backend.GetProperty("recent"), status.Data.GetProperty("recent")), "One backend is the whole pool.");
        Assert.True(status.Data.GetProperty("durable").GetBoolean());
        Assert.True(backend.GetProperty("requests_per_second").GetDouble() > 0);
        Assert.True(status.Data.GetProperty("input_tokens_per_second").GetDouble() > 0);
    }

    [Fact]
    public async Task Events_WhenTheProgramEnds_EndAtOnce()
    {
        var host = await BalancerHost.StartAsync(Two);
        var events = await Events.OpenAsync(host, "?types=change");

        await Await.For(host.StopAsync(), "the end of the program");
        await Await.For(events.ReadToEndAsync(), "the end of the stream");

        await events.DisposeAsync();
        await host.DisposeAsync();
    }

    [Theory]
    [InlineData("ops", false)]
    [InlineData("renamed", false)]
    [InlineData("another", true)]
    [InlineData(null, false)]
    public async Task Events_TheKeysChangeMeanwhile_EndForWhoMayNoLonger(string? left, bool ends)
    {
        var keyed = Two with { AdminKeys = [new("ops", AdminClient.Key)] };
        await using var host = await BalancerHost.StartAsync(keyed);
        host.Http.DefaultRequestHeaders.Add("X-API-Key", AdminClient.Key);
        await using var events = await Events.OpenAsync(host, "?types=change");

        host.Pools.Swap(keyed with { AdminKeys = left is null ? [] : [new(left, left == "another" ? "k-another-key" : AdminClient.Key)] });

        if (ends)
        {
            Assert.Equal("", await Await.For(events.ReadToEndAsync(), "the end of the stream"));
            Assert.Equal("invalid_api_key", (await host.GetAsync("/events")).Code);
        }
        else
        {
            host.Pools.Swap(host.Pools.Configured with { FailureThreshold = 7 });
            Assert.Equal("configuration", Text(await events.NextAsync("change"), "action"));
        }
    }

    [Fact]
    public async Task Events_KeysAreSetMeanwhile_EndForWhoHasNone()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        await using var events = await Events.OpenAsync(host, "?types=change");

        host.Pools.Swap(Two with { AdminKeys = [new("ops", AdminClient.Key)] });

        Assert.Equal("", await Await.For(events.ReadToEndAsync(), "the end of the stream"));
    }

    [Fact]
    public async Task Events_MoreThanSixtyFourAtOnce_AreRefused()
    {
        await using var host = await BalancerHost.StartAsync(Two);
        var open = new List<Events>();
        for (var stream = 0; stream < 64; stream++)
        {
            open.Add(await Events.OpenAsync(host, "?types=change"));
        }

        var refused = await host.GetAsync("/events");
        foreach (var stream in open)
        {
            await stream.DisposeAsync();
        }

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "too_many_streams"), (refused.Status, refused.Code));
        await Await.Until(() => !host.Service<EventFeed>().HasListeners, "all have left");
    }

    [Fact]
    public void Listen_WhoReadsNothing_LosesTheOldestAndKeepsNobodyWaiting()
    {
        var feed = new EventFeed(new(Two), TimeProvider.System);
        var listener = feed.Listen(null, 0)!;

        for (var change = 0; change < 5_000; change++)
        {
            feed.ReportStatus("a", "healthy", "trial");
        }

        Assert.Equal(1_000, listener.Reader.Count);
        Assert.Equal(500, feed.Listen(null, 500)!.Reader.Count);
    }

    internal static async Task FailAsync(BalancerHost host, int index)
    {
        var lease = await host.State.AcquireAsync(new() { Pool = host.Pools.Current, Only = index }, TestContext.Current.CancellationToken);
        await host.State.ReleaseAsync(lease!, new AttemptOutcome(OutcomeKind.ServerError));
    }

    private static string? Text(Event from, string key) => from.Data.GetProperty(key).GetString();
}

/// <summary>One event of a stream.</summary>
internal sealed record Event(string Type, string? Id, JsonElement Data);

/// <summary>The stream of events, read as it comes.</summary>
internal sealed class Events : IAsyncDisposable
{
    private readonly HttpResponseMessage _response;
    private readonly StreamReader _reader;
    private readonly System.Text.StringBuilder _all = new();
    private readonly List<Event> _ahead = [];

    private Events(HttpResponseMessage response, StreamReader reader) => (_response, _reader) = (response, reader);

    /// <summary>The first line.</summary>
    public string First { get; private set; } = "";

    public string All => _all.ToString();

    public static async Task<Events> OpenAsync(BalancerHost host, string query = "", string? lastId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{AdminEndpoint.Prefix}/events{query}");
        if (lastId is not null)
        {
            request.Headers.TryAddWithoutValidation("Last-Event-ID", lastId);
        }

        var response = await host.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "text/event-stream"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        var events = new Events(response, new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)));
        events.First = (await events._reader.ReadLineAsync(TestContext.Current.CancellationToken))!;
        await events._reader.ReadLineAsync(TestContext.Current.CancellationToken);
        return events;
    }

    /// <summary>The next event of that type; others that come before it are kept.</summary>
    public async Task<Event> NextAsync(string type)
    {
        while (_ahead.Find(one => one.Type == type) is not { } found)
        {
            _ahead.Add(await Await.For(ReadAsync(), $"an event {type}"));
            continue;
        }

        var next = _ahead.Find(one => one.Type == type)!;
        _ahead.Remove(next);
        return next;
    }

    public Task<string> ReadToEndAsync() => _reader.ReadToEndAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync()
    {
        _reader.Dispose();
        _response.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<Event> ReadAsync()
    {
        var (type, id, data) = ("", (string?)null, "");
        while (await _reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            _all.AppendLine(line);
            if (line.Length == 0)
            {
                return new Event(type, id, JsonDocument.Parse(data).RootElement);
            }

            var value = line[(line.IndexOf(':', StringComparison.Ordinal) + 2)..];
            switch (line.Split(':')[0])
            {
                case "event": type = value; break;
                case "id": id = value; break;
                case "data": data += value; break;
            }
        }

        throw new EndOfStreamException(All);
    }
}
