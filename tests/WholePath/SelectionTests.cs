using System.Collections.Frozen;
using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Which backends may take a request at all: priority, limits, tags, models, drained and disabled ones.</summary>
public sealed class SelectionTests : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly ScriptedUpstream[] _upstreams = [.. Enumerable.Range(0, 3).Select(_ => ScriptedUpstream.Start(Scripts.Chat("ok")))];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var upstream in _upstreams)
        {
            await upstream.DisposeAsync();
        }
    }

    [Fact]
    public async Task Priority_BetterGroupFree_WorseGetsNothing()
    {
        await using var host = await StartAsync((index, backend) => backend with { Priority = index });

        Assert.Equal("aaaaaaaaa", await AskAsync(host, 9));
    }

    [Fact]
    public async Task Priority_BetterGroupFullThenDead_NextGroupHelps()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstreams[0].Script = Scripts.After(gate.Task, Scripts.Chat("ok"));
        await using var host = await StartAsync((index, backend) => backend with { Priority = index, MaxConnections = index == 0 ? 2 : 50 });
        Task<string>[] held = [AskAsync(host, 1), AskAsync(host, 1)];
        await Await.Until(() => _upstreams[0].Requests.Count == 2, "the best is full");

        Assert.Equal("bbb", await AskAsync(host, 3));
        gate.SetResult();
        Assert.Equal(["a", "a"], await Task.WhenAll(held));
        await host.SettledAsync();
        Assert.Equal("aaa", await AskAsync(host, 3));
        await _upstreams[0].KillAsync();
        Assert.Equal("bbb", await AskAsync(host, 3));
        await _upstreams[1].KillAsync();
        Assert.Equal("ccc", await AskAsync(host, 3));
    }

    [Fact]
    public async Task MaxConnections_FortyAtOnce_NeverExceeded()
    {
        const int Most = 5;
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var active = new int[3];
        var highest = new int[3];
        for (var i = 0; i < 3; i++)
        {
            var index = i;
            _upstreams[i].Script = async (request, connection, gone) =>
            {
                var now = Interlocked.Increment(ref active[index]);
                highest[index] = Math.Max(highest[index], now);
                await gate.Task.WaitAsync(gone);
                Interlocked.Decrement(ref active[index]);
                await Scripts.Chat("ok")(request, connection, gone);
            };
        }

        await using var host = await StartAsync((_, backend) => backend with { MaxConnections = Most }, options => options with { MaxQueueWait = Limit });
        var asking = Task.WhenAll(Enumerable.Range(0, 40).Select(_ => AskAsync(host, 1)));
        await Await.Until(() => active.Sum() == 3 * Most, "every place is taken", Limit);
        Assert.Equal(3 * Most, await host.InFlightAsync());
        gate.SetResult();
        var order = string.Concat(await Await.For(asking, "all answers", Limit));

        Assert.Equal(40, order.Length);
        Assert.Equal([Most, Most, Most], highest);
    }

    [Fact]
    public async Task MaxConnections_FullAndNoWaiting_IsBackendsBusy()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstreams[0].Script = Scripts.After(gate.Task, Scripts.Chat("ok"));
        await using var host = await BalancerHost.StartAsync([_upstreams[0]], options => options with { MaxQueueWait = TimeSpan.Zero }, (_, backend) => backend with { MaxConnections = 1 });
        var held = AskAsync(host, 1);
        await Await.Until(() => _upstreams[0].Requests.Count == 1, "the place is taken");

        using var refused = await host.ChatAsync();

        await OpenAIError.AssertAsync(refused, HttpStatusCode.ServiceUnavailable, "backends_busy");
        Assert.NotNull(refused.Headers.RetryAfter);
        gate.SetResult();
        Assert.Equal("a", await held);
    }

    [Theory]
    [InlineData("fast", "abab")]
    [InlineData("fast,primary", "bbbb")]
    [InlineData(" primary , fast ", "bbbb")]
    [InlineData("", "abca")]
    public async Task Tags_Asked_OnlyBackendsWithAllOfThem(string asked, string order)
    {
        FrozenSet<string>[] tags = [FrozenSet.Create(StringComparer.Ordinal, "fast"), FrozenSet.Create(StringComparer.Ordinal, "fast", "primary"), FrozenSet<string>.Empty];
        await using var host = await StartAsync((index, backend) => backend with { Tags = tags[index] });

        Assert.Equal(order, await AskAsync(host, 4, headers: ("X-Backend-Tags", asked)));
    }

    [Fact]
    public async Task Tags_NobodyHas_IsAClearError()
    {
        await using var host = await StartAsync((_, backend) => backend);

        using var response = await host.ChatAsync(headers: ("X-Backend-Tags", "gpu"));

        await OpenAIError.AssertAsync(response, HttpStatusCode.BadRequest, "no_backend_with_tags");
    }

    [Fact]
    public async Task Models_ListMapAndSingleName_ServeAndRewriteTheirs()
    {
        await using var host = await StartAsync((index, backend) => index switch
        {
            0 => backend with { Models = Map(("listed", "listed")) },
            1 => backend with { Models = Map(("alias", "real-name"), ("listed", "listed")) },
            _ => backend with { ModelName = "only", Priority = 1 },
        });

        Assert.Equal("abab", await AskAsync(host, 4, "listed"));
        Assert.Equal("bb", await AskAsync(host, 2, "alias"));
        Assert.Equal("cc", await AskAsync(host, 2, "whatever"));
        Assert.Equal(["listed", "listed"], ModelsAt(0));
        Assert.Equal(["listed", "listed", "real-name", "real-name"], ModelsAt(1));
        Assert.Equal(["only", "only"], ModelsAt(2));
    }

    [Fact]
    public async Task Models_NobodyServes_IsModelNotFoundWithoutAnyAttempt()
    {
        await using var host = await StartAsync((_, backend) => backend with { Models = Map(("listed", "listed")) });

        using var response = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: "other"));

        await OpenAIError.AssertAsync(response, HttpStatusCode.NotFound, "model_not_found");
        Assert.Equal("0", response.Headers.GetValues("X-Attempts").Single());
        Assert.All(_upstreams, upstream => Assert.Empty(upstream.Requests));
    }

    [Fact]
    public async Task Models_BackendLacksIt_AnotherIsAskedAndTheFirstNotAgain()
    {
        _upstreams[0].Script = Scripts.ErrorBody(404, "model_not_found", "The model `m` does not exist.");
        await using var host = await StartAsync((_, backend) => backend);

        Assert.DoesNotContain('a', await AskAsync(host, 6));
        Assert.Single(_upstreams[0].Requests);
    }

    [Fact]
    public async Task WeightZeroAndDisabled_Serving_GetNothing()
    {
        await using var host = await StartAsync((index, backend) => index switch
        {
            0 => backend with { Weight = 0 },
            1 => backend with { Enabled = false },
            _ => backend,
        });

        Assert.Equal("cccccc", await AskAsync(host, 6));
    }

    [Fact]
    public async Task Drained_WhileServing_FinishesWhatItHas()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstreams[0].Script = Scripts.After(gate.Task, Scripts.Chat("ok"));
        await using var host = await StartAsync((_, backend) => backend);
        var held = AskAsync(host, 1);
        await Await.Until(() => _upstreams[0].Requests.Count == 1, "it has a request");

        host.Pools.Swap(host.Pools.Current.Options with { Backends = host.Pools.Current.Backends.SetItem(0, host.Pools.Current.Backends[0] with { Weight = 0 }) });

        Assert.DoesNotContain('a', await AskAsync(host, 6));
        gate.SetResult();
        Assert.Equal("a", await held);
    }

    private IEnumerable<string?> ModelsAt(int index) => _upstreams[index].Requests.Select(request => request.Property("model")?.GetString());

    private static FrozenDictionary<string, string> Map(params (string Alias, string Name)[] models) =>
        models.ToFrozenDictionary(model => model.Alias, model => model.Name, StringComparer.Ordinal);

    private Task<BalancerHost> StartAsync(Func<int, Backend, Backend> shape, Func<BalancerOptions, BalancerOptions>? change = null) => BalancerHost.StartAsync(_upstreams, change, shape);

    private static async Task<string> AskAsync(BalancerHost host, int times, string model = "m", params (string Name, string Value)[] headers)
    {
        var order = new char[times];
        for (var i = 0; i < times; i++)
        {
            using var response = await host.PostAsync("/v1/chat/completions", BalancerHost.ChatJson(model: model), headers);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            order[i] = response.Headers.GetValues("X-Backend").Single()[0];
        }

        return new string(order);
    }
}
