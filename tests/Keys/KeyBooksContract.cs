using Roadbalancer.Keys;
using Roadbalancer.Options;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Keys;

/// <summary>What every store of key limits keeps to.</summary>
public abstract class KeyBooksContract
{
    private readonly ManualTime _time = new();
    private readonly Lock _making = new();
    private IKeyBooks? _books;

    /// <summary>The same for all who ask at the same time.</summary>
    private IKeyBooks Books
    {
        get
        {
            lock (_making)
            {
                return _books ??= Create(_time);
            }
        }
    }

    [Fact]
    public async Task ReserveAsync_RequestsUsedUp_RefusesUntilTheFirstHasGone()
    {
        var limits = new KeyLimits { RequestsPerMinute = 2 };
        Assert.Equal(1, (await Reserve(limits)).UsedRequests);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(2, (await Reserve(limits)).UsedRequests);

        var refused = await Reserve(limits);
        Assert.Equal((KeyRefusal.Requests, 2L), (refused.Refusal, refused.UsedRequests));
        Assert.InRange(refused.Wait, TimeSpan.FromSeconds(50), TimeSpan.FromSeconds(51));
        Assert.InRange(refused.Reset, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(61));

        _time.Advance(refused.Wait - TimeSpan.FromMilliseconds(1));
        Assert.Equal(KeyRefusal.Requests, (await Reserve(limits)).Refusal);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal((KeyRefusal.None, 2L), ((await Reserve(limits)).Refusal, refused.UsedRequests));
        Assert.Equal(KeyRefusal.Requests, (await Reserve(limits)).Refusal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task ReserveAsync_RandomTimes_NoMinuteEverHasMoreThanTheLimit(ulong seed)
    {
        var chance = new Chance(seed);
        var limits = new KeyLimits { RequestsPerMinute = 20, TokensPerMinute = 500 };
        var admitted = new List<(TimeSpan At, long Tokens)>();
        var now = TimeSpan.Zero;
        for (var step = 0; step < 600; step++)
        {
            var tokens = chance.Next(60);
            if ((await Reserve(limits, tokens)).Refusal == KeyRefusal.None)
            {
                admitted.Add((now, tokens));
            }

            var pause = TimeSpan.FromMilliseconds(chance.Next(40) == 0 ? chance.Next(90_000) : chance.Next(2_500));
            _time.Advance(pause);
            now += pause;
        }

        foreach (var (from, _) in admitted)
        {
            var minute = admitted.Where(other => other.At >= from && other.At < from + TimeSpan.FromSeconds(60)).ToList();
            Assert.True(minute.Count <= 20, $"seed {seed}: {minute.Count} requests in the minute from {from}");
            Assert.True(minute.Sum(other => other.Tokens) <= 500, $"seed {seed}: {minute.Sum(other => other.Tokens)} tokens in the minute from {from}");
        }

        Assert.True(admitted.Count > 100, $"seed {seed}: only {admitted.Count} admitted");
    }

    [Fact]
    public async Task SettleAsync_LessUsedThanReserved_GivesTheRestBack()
    {
        var limits = new KeyLimits { TokensPerMinute = 100 };
        var first = await Reserve(limits, 80);
        Assert.Equal(KeyRefusal.Tokens, (await Reserve(limits, 30)).Refusal);
        _time.Advance(TimeSpan.FromSeconds(3));
        await Settle(limits, 80, first, 10);
        Assert.Equal((KeyRefusal.None, 100L), Told(await Reserve(limits, 90)));
    }

    [Fact]
    public async Task SettleAsync_MoreUsedThanReserved_IsOwedFromThenOn()
    {
        var limits = new KeyLimits { TokensPerMinute = 100 };
        var first = await Reserve(limits, 10);
        _time.Advance(TimeSpan.FromSeconds(50));
        await Settle(limits, 10, first, 150);

        var refused = await Reserve(limits, 1);
        Assert.Equal((KeyRefusal.Tokens, 150L), Told(refused));
        Assert.InRange(refused.Wait, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(61));
        _time.Advance(refused.Wait);
        Assert.Equal((KeyRefusal.None, 100L), Told(await Reserve(limits, 100)));
    }

    [Fact]
    public async Task SettleAsync_AMinuteLater_TakesNothingFromWhatCameSince()
    {
        var limits = new KeyLimits { TokensPerMinute = 100 };
        var first = await Reserve(limits, 80);
        _time.Advance(TimeSpan.FromSeconds(64));
        Assert.Equal((KeyRefusal.None, 70L), Told(await Reserve(limits, 70)));
        await Settle(limits, 80, first, 0);
        Assert.Equal((KeyRefusal.Tokens, 70L), Told(await Reserve(limits, 31)));
    }

    [Fact]
    public async Task ReserveAsync_NeverSettled_TokensComeFreeWithTheMinute()
    {
        var limits = new KeyLimits { TokensPerMinute = 100 };
        await Reserve(limits, 100);
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(KeyRefusal.Tokens, (await Reserve(limits, 1)).Refusal);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(KeyRefusal.None, (await Reserve(limits, 100)).Refusal);
    }

    [Fact]
    public async Task ReserveAsync_MoreThanAWholeMinuteAllows_IsTooLargeAndCountsNothing()
    {
        var limits = new KeyLimits { TokensPerMinute = 100, RequestsPerMinute = 5 };
        var refused = await Reserve(limits, 101);
        Assert.Equal((KeyRefusal.TooLarge, 0L, 0L, TimeSpan.Zero), (refused.Refusal, refused.UsedTokens, refused.UsedRequests, refused.Wait));
    }

    [Fact]
    public async Task ReserveAsync_BothUsedUp_WaitsForBoth()
    {
        var limits = new KeyLimits { TokensPerMinute = 100, RequestsPerMinute = 2 };
        await Reserve(limits, 1);
        _time.Advance(TimeSpan.FromSeconds(30));
        await Reserve(limits, 99);
        var refused = await Reserve(limits, 50);
        Assert.Equal(KeyRefusal.Requests, refused.Refusal);
        Assert.InRange(refused.Wait, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(61));
    }

    [Fact]
    public async Task ReserveAsync_AllPlacesHeld_RefusesUntilOneIsGivenBack()
    {
        var limits = new KeyLimits { MaxConcurrency = 2 };
        var first = await Reserve(limits);
        var second = await Reserve(limits);
        Assert.NotEqual(first.Hold, second.Hold);
        Assert.Equal(KeyRefusal.Concurrency, (await Reserve(limits)).Refusal);
        await Settle(limits, 0, first, 0);
        await Settle(limits, 0, first, 0);
        Assert.Equal(KeyRefusal.None, (await Reserve(limits)).Refusal);
        Assert.Equal(KeyRefusal.Concurrency, (await Reserve(limits)).Refusal);
    }

    [Fact]
    public async Task ReserveAsync_PlaceRefused_CountsNoRequest()
    {
        var limits = new KeyLimits { MaxConcurrency = 1, RequestsPerMinute = 2 };
        var first = await Reserve(limits);
        Assert.Equal(1, (await Reserve(limits)).UsedRequests);
        await Settle(limits, 0, first, 0);
        Assert.Equal(2, (await Reserve(limits)).UsedRequests);
    }

    [Fact]
    public async Task ReserveAsync_LimitChanged_CountsFromTheNextRequest()
    {
        await Reserve(new KeyLimits { RequestsPerMinute = 2 });
        Assert.Equal(KeyRefusal.Requests, (await Reserve(new KeyLimits { RequestsPerMinute = 1 })).Refusal);
        Assert.Equal(KeyRefusal.None, (await Reserve(new KeyLimits { RequestsPerMinute = 3 })).Refusal);
    }

    [Fact]
    public async Task ReserveAsync_OtherKeys_ArePairwiseIndependentWhateverTheCaseOfAName()
    {
        var limits = new KeyLimits { RequestsPerMinute = 1 };
        Assert.Equal(KeyRefusal.None, (await Reserve(limits, name: "a")).Refusal);
        Assert.Equal(KeyRefusal.None, (await Reserve(limits, name: "b")).Refusal);
        Assert.Equal(KeyRefusal.Requests, (await Reserve(limits, name: "A")).Refusal);
    }

    [Fact]
    public async Task ReserveAsync_SixtyFourAtOnce_NeverMoreThanTheLimits()
    {
        var limits = new KeyLimits { RequestsPerMinute = 30, TokensPerMinute = 1_000, MaxConcurrency = 12 };
        var verdicts = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => Reserve(limits, 50).AsTask())));
        Assert.Equal(12, verdicts.Count(verdict => verdict.Refusal == KeyRefusal.None));
        Assert.Equal(52, verdicts.Count(verdict => verdict.Refusal == KeyRefusal.Concurrency));
        foreach (var verdict in verdicts.Where(verdict => verdict.Refusal == KeyRefusal.None))
        {
            await Settle(limits, 50, verdict, 50);
        }

        verdicts = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(() => Reserve(limits with { MaxConcurrency = null }, 50).AsTask())));
        Assert.Equal(8, verdicts.Count(verdict => verdict.Refusal == KeyRefusal.None));
        Assert.Equal(1_000, verdicts.Max(verdict => verdict.UsedTokens));
    }

    private protected abstract IKeyBooks Create(ManualTime time);

    private static (KeyRefusal, long) Told(in KeyVerdict verdict) => (verdict.Refusal, verdict.UsedTokens);

    private async ValueTask<KeyVerdict> Reserve(KeyLimits limits, long tokens = 0, string name = "team") =>
        (await Books.ReserveAsync(Demand(limits, tokens, name)))!.Value;

    private ValueTask Settle(KeyLimits limits, long reserved, KeyVerdict verdict, long used) => Books.SettleAsync(Demand(limits, reserved, "team"), verdict, used);

    internal static KeyDemand Demand(KeyLimits limits, long tokens, string name = "team") => new("default", new ClientKey(name, "k") { Limits = limits }, tokens);
}

public sealed class InMemoryKeyBooksTests : KeyBooksContract
{
    private protected override IKeyBooks Create(ManualTime time) => new InMemoryKeyBooks(time);
}
