using Microsoft.AspNetCore.Http;
using Roadbalancer.Ledger;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Ledger;

public class DurableLedgerTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SignalAsync_ThenReadAndList_FindsTheStateOverPages()
    {
        await using var host = await DurableHost.StartAsync();
        var ledger = host.Ledger();
        for (var i = 0; i < 8; i++)
        {
            await ledger.SignalAsync(BackendEntity.Name, EntityKey.Of($"gpu{i}"), "put", Counted.Put(1, Counted.Of(i)).ToJson(), Token);
        }

        Assert.Equal(5, BackendRecord.Parse((await ledger.ReadAsync(BackendEntity.Name, EntityKey.Of("gpu5"), Token))!).Totals.Requests);
        Assert.Null(await ledger.ReadAsync(BackendEntity.Name, EntityKey.Of("never"), Token));
        var all = await ledger.ListAsync(BackendEntity.Name, Token);
        Assert.Equal(28, all.Values.Sum(state => BackendRecord.Parse(state).Totals.Requests));
        Assert.Empty(await ledger.ListAsync(RegistryEntity.Name, Token));
        Assert.Equal($"POST /runtime/webhooks/durabletask/entities/BackendEntity/{EntityKey.Of("gpu0")}?op=put&{DurableHost.Query}", host.Requests.First());
    }

    [Fact]
    public async Task ListAsync_DeletedEntity_IsNotAmongThem()
    {
        await using var host = await DurableHost.StartAsync();
        await host.Ledger().SignalAsync(BackendEntity.Name, EntityKey.Of("gone"), "delete", "null", Token);
        Assert.Empty(await host.Ledger().ListAsync(BackendEntity.Name, Token));
        Assert.Null(await host.Ledger().ReadAsync(BackendEntity.Name, EntityKey.Of("gone"), Token));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(400)]
    [InlineData(500)]
    [InlineData(200)]
    public async Task SignalAsync_AnythingBut202_IsALedgerExceptionWithoutTheKey(int status)
    {
        await using var host = await DurableHost.StartAsync();
        host.Instead = http =>
        {
            http.Response.StatusCode = status;
            return Task.FromResult(true);
        };
        var failure = await Assert.ThrowsAsync<LedgerException>(() => host.Ledger().SignalAsync(BackendEntity.Name, "00", "put", "{}", Token));
        Assert.Contains($"{status}", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[{}]")]
    [InlineData("[{\"state\":{}}]")]
    [InlineData("not json")]
    public async Task ListAsync_NotTheList_IsALedgerException(string body)
    {
        await using var host = await DurableHost.StartAsync();
        host.Instead = async http =>
        {
            await http.Response.WriteAsync(body);
            return true;
        };
        if (body == "[{}]")
        {
            Assert.Empty(await host.Ledger().ListAsync(BackendEntity.Name, Token));
        }
        else
        {
            await Assert.ThrowsAsync<LedgerException>(() => host.Ledger().ListAsync(BackendEntity.Name, Token));
        }
    }

    [Fact]
    public async Task ReadAsync_NoAnswer_EndsAfterItsPatience()
    {
        await using var host = await DurableHost.StartAsync();
        var release = new TaskCompletionSource();
        var arrived = new TaskCompletionSource();
        host.Instead = async _ =>
        {
            arrived.SetResult();
            await release.Task;
            return true;
        };
        var time = new ManualTime();
        var reading = host.Ledger(time).ReadAsync(BackendEntity.Name, "00", Token);
        await Await.For(arrived.Task, "the request");
        time.Advance(DurableLedger.Patience);
        Assert.Contains("no answer", (await Assert.ThrowsAsync<LedgerException>(() => reading)).Message, StringComparison.Ordinal);
        release.SetResult();
    }

    [Fact]
    public async Task ReadAsync_NobodyThere_IsALedgerExceptionWithoutTheKey()
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var ledger = new DurableLedger(http, new Uri($"http://127.0.0.1:{RedisServer.FreePort()}/x"), DurableHost.Query, TimeProvider.System);
        var failure = await Assert.ThrowsAsync<LedgerException>(() => ledger.ReadAsync(BackendEntity.Name, "00", Token));
        Assert.DoesNotContain("s3cret", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_HalfOfAllCallsFail_SettlesInTheEndAndCountsOnce()
    {
        await using var host = await DurableHost.StartAsync();
        var calls = 0;
        host.Instead = http =>
        {
            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.FromResult(Interlocked.Increment(ref calls) % 2 == 0);
        };
        var time = new LeapTime();
        await using var instance = new SettlingInstance(time, 1);
        await instance.ServeAsync(0, 5);
        var runs = 0;
        while (!(await instance.SettleAsync(host.Ledger())).IsComplete)
        {
            Assert.InRange(++runs, 1, 20);
            host.Instead = runs < 5 ? host.Instead : _ => Task.FromResult(false);
        }

        var record = BackendRecord.Parse((await host.Ledger().ReadAsync(BackendEntity.Name, EntityKey.Of("a"), Token))!);
        Assert.Equal((5, 3, 5_000), (record.Totals.Requests, record.Threshold, record.CooldownMs));
    }
}
