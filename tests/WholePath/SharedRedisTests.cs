using System.Net;
using Roadbalancer.Backends;
using Roadbalancer.Redis;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.WholePath;

/// <summary>Three processes of the program, one Redis, 64 clients, and all that can happen to the Redis and to one of the three.</summary>
[Collection(nameof(Alone))]
public sealed class SharedRedisTests
{
    private const int Clients = 64;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <summary>All in one run: the lease of the killed instance runs out while the others' Redis fails in all its ways.</summary>
    [Fact]
    public async Task Load_RedisAndAnInstanceFail_NoClientSeesAnErrorAndTheCountsAreRight()
    {
        const int Hung = 20;
        await using var redis = await RedisServer.StartAsync();
        ScriptedUpstream[] upstreams = [.. Enumerable.Range(0, 3).Select(_ => ScriptedUpstream.Start(ChatUnlessHung))];
        var programs = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => ProgramProcess.Start(config: Config(redis, upstreams)).ListenAsync()));
        await using var load = new Load(programs);
        await using var link = redis.Link();
        await using var books = new RedisState(link, "rb:", TimeProvider.System, new Chance(5));

        await Await.Until(() => programs.All(program => program.Output.Contains("Redis serves", StringComparison.Ordinal)), "all share their state", Limit);
        load.Start();
        await load.ServeAsync(500);
        var hung = Enumerable.Range(0, Hung).Select(_ => programs[2].ChatAsync(model: "hung")).ToList();
        await Await.Until(() => Seen(upstreams, "hung") == Hung, "the hung requests are in flight", Limit);
        await programs[2].KillAsync();
        var killedAt = TimeProvider.System.GetTimestamp();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => Task.WhenAll(hung));

        await redis.SendAsync("CLIENT", "KILL", "TYPE", "normal");
        await load.ServeAsync(300);
        await redis.SendAsync("SCRIPT", "FLUSH");
        await load.ServeAsync(300);
        await redis.SignalAsync("STOP");
        var stoppedAt = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(stoppedAt) < TimeSpan.FromSeconds(10))
        {
            await load.ServeAsync(50);
        }

        await redis.SignalAsync("CONT");
        await load.ServeAsync(300);
        await load.PauseAsync();

        // Nothing was lost but what the killed one had under way or untold: at most one request a client, and those that hung.
        var seen = upstreams.Sum(upstream => upstream.Requests.Count);
        await CountsAsync(books, link, seen - Hung - Clients, seen - Hung, killedAt);
        Assert.InRange(TimeProvider.System.GetElapsedTime(killedAt).TotalSeconds, 0, 32);

        load.Start();
        await redis.KillAsync();
        await load.ServeAsync(300);
        await redis.StartAgainAsync();
        await load.ServeAsync(300);
        await redis.SendAsync("FLUSHALL");
        await load.ServeAsync(300);
        await load.PauseAsync();
        await using var newLink = redis.Link();
        await using var newBooks = new RedisState(newLink, "rb:", TimeProvider.System, new Chance(6));
        await CountsAsync(newBooks, newLink, 1, upstreams.Sum(upstream => upstream.Requests.Count), TimeProvider.System.GetTimestamp());

        Assert.Empty(load.Errors);
        Assert.All(programs[..2], program => Assert.DoesNotContain("Exception", program.Output, StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine($"{load.Served} requests served");
        await EndAsync(programs, upstreams);
    }

    [Fact]
    public async Task Load_ConsistencyRelaxedAndRedisFails_NoClientSeesAnErrorAndEveryRequestIsCounted()
    {
        await using var redis = await RedisServer.StartAsync();
        ScriptedUpstream[] upstreams = [.. Enumerable.Range(0, 3).Select(_ => ScriptedUpstream.Start(ChatUnlessHung))];
        var config = Config(redis, upstreams) + "consistency: relaxed\n";
        var programs = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => ProgramProcess.Start(config: config).ListenAsync()));
        await using var load = new Load(programs);
        await using var link = redis.Link();
        await using var books = new RedisState(link, "rb:", TimeProvider.System, new Chance(5));

        await Await.Until(() => programs.All(program => program.Output.Contains("ten times a second", StringComparison.Ordinal)), "all share their state", Limit);
        load.Start();
        await load.ServeAsync(500);
        await redis.SendAsync("CLIENT", "KILL", "TYPE", "normal");
        await redis.SendAsync("SCRIPT", "FLUSH");
        await load.ServeAsync(300);
        await redis.SignalAsync("STOP");
        await load.ServeAsync(1_000);
        await redis.SignalAsync("CONT");
        await load.ServeAsync(300);
        await load.PauseAsync();

        var seen = upstreams.Sum(upstream => upstream.Requests.Count);
        await CountsAsync(books, link, seen, seen, TimeProvider.System.GetTimestamp());
        Assert.Empty(load.Errors);
        Assert.All(programs, program => Assert.DoesNotContain("Exception", program.Output, StringComparison.Ordinal));
        await EndAsync(programs, upstreams);
    }

    [Fact]
    public async Task Start_RedisRequiredWithAWrongPassword_EndsWithTheReason()
    {
        await using var redis = await RedisServer.StartAsync("--requirepass", "right");
        await using var program = ProgramProcess.Start(
            environment: [("LLM_ENDPOINTS", "http://127.0.0.1:9,http://127.0.0.1:10"), ("REDIS_CONNECTION", $"redis://:wrong-one@{redis.Connection}"), ("ROADBALANCER_REDIS_REQUIRED", "true")]);
        Assert.Equal(1, await program.ExitCodeAsync());
        Assert.Contains("the password is wrong or missing", program.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong-one", program.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HealthChecks_TwoInstances_ProbeOnceForTheFleet()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var upstream = ScriptedUpstream.Start(Scripts.Chat("hello"));
        await using var other = ScriptedUpstream.Start(Scripts.Chat("hello"));
        var config = Config(redis, [upstream, other]).Replace("enabled: false", "enabled: true", StringComparison.Ordinal) + "redis_required: true\n";
        await using var first = await ProgramProcess.Start(config: config).ListenAsync();
        await Await.Until(() => upstream.Probes.Count == 1, "the first instance probes", Limit);

        await using var second = await ProgramProcess.Start(config: config).ListenAsync();
        await second.SaysAsync("Redis serves");

        Assert.Single(upstream.Probes);
    }

    private static string Config(RedisServer redis, ScriptedUpstream[] upstreams) => $"""
        redis_connection: "{redis.Connection}"
        strategy: least_connections
        health_check:
          enabled: false
        endpoints:
        {string.Concat(upstreams.Select((upstream, index) => $"  - name: {(char)('a' + index)}\n    url: {upstream.BaseUrl}\n"))}
        """;

    private static Task ChatUnlessHung(UpstreamRequest request, UpstreamConnection connection, CancellationToken cancellationToken) =>
        request.Text.Contains("\"hung\"", StringComparison.Ordinal) ? connection.HangAsync() : Scripts.Chat("hello")(request, connection, cancellationToken);

    private static int Seen(ScriptedUpstream[] upstreams, string model) =>
        upstreams.Sum(upstream => upstream.Requests.Count(request => request.Text.Contains($"\"{model}\"", StringComparison.Ordinal)));

    private static async Task EndAsync(ProgramProcess[] programs, ScriptedUpstream[] upstreams)
    {
        foreach (var program in programs)
        {
            await program.DisposeAsync();
        }

        foreach (var upstream in upstreams)
        {
            await upstream.DisposeAsync();
        }
    }

    /// <summary>Waits until nobody holds a place and what Redis counted is in the range and stays so.</summary>
    private static async Task CountsAsync(RedisState books, RedisLink link, long least, long most, long began)
    {
        Assert.Null(await link.ConnectAsync());
        var (counted, held) = (-1L, -1L);
        await Await.Until(
            async () =>
            {
                var backends = (await books.ReadAsync(Pool.DefaultName, TestContext.Current.CancellationToken)).Backends;
                (counted, held) = (backends.Sum(backend => backend.Totals.Requests), backends.Sum(backend => backend.Vitals.InFlight));
                return (counted >= least && held == 0) || TimeProvider.System.GetElapsedTime(began) >= Limit;
            },
            "all is counted and given back", Limit);

        Assert.Equal(0, held);
        Assert.InRange(counted, least, most);
    }

    /// <summary>Clients that ask one instance after another; one whose instance is gone asks the next, as behind any front door.</summary>
    private sealed class Load(ProgramProcess[] programs) : IAsyncDisposable
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> _errors = new();
        private CancellationTokenSource _pause = new();
        private Task[] _clients = [];
        private int _served;

        public IReadOnlyCollection<string> Errors => _errors;

        public int Served => _served;

        public void Start()
        {
            _pause = new CancellationTokenSource();
            _clients = [.. Enumerable.Range(0, Clients).Select(client => Task.Run(() => AskAsync(client, _pause.Token)))];
        }

        public async Task ServeAsync(int more)
        {
            var until = _served + more;
            await Await.Until(() => _served >= until || !_errors.IsEmpty, $"{more} more requests are served", Limit);
            Assert.Empty(_errors);
        }

        public async Task PauseAsync()
        {
            await _pause.CancelAsync();
            await Await.For(Task.WhenAll(_clients), "the clients' end", Limit);
        }

        public async ValueTask DisposeAsync()
        {
            await _pause.CancelAsync();
            await Task.WhenAll(_clients).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _pause.Dispose();
        }

        private async Task AskAsync(int client, CancellationToken pause)
        {
            for (var turn = client; !pause.IsCancellationRequested; turn++)
            {
                var program = programs[turn % programs.Length];
                try
                {
                    using var response = await program.ChatAsync();
                    var body = await response.Content.ReadAsStringAsync(CancellationToken.None);
                    if (response.StatusCode == HttpStatusCode.OK && body.Contains("hello", StringComparison.Ordinal))
                    {
                        Interlocked.Increment(ref _served);
                    }
                    else
                    {
                        _errors.Enqueue($"{(int)response.StatusCode}: {body}");
                    }
                }
                catch (Exception) when (program == programs[^1] && program.HasEnded)
                {
                    // Killed on purpose: its clients go to the others.
                }
                catch (Exception exception)
                {
                    _errors.Enqueue(exception.ToString());
                }
            }
        }
    }
}
