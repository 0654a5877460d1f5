using Roadbalancer.Backends;
using Roadbalancer.Options;
using Roadbalancer.Proxy;
using Roadbalancer.State;
using Roadbalancer.Strategies;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Proxy;

public sealed class RetryPlanTests
{
    private static readonly Pool _pool = Pools.Of(
        new BalancerOptions { RetryCount = 2 }, Pools.Backend("a"), Pools.Backend("b"), Pools.Backend("c") with { Priority = 1 }, Pools.Backend("d") with { Priority = 2 });

    // Each situation: the attempts so far (backend and outcome), then the peers, all others, and whether the last backend is asked once more.
    [Theory]
    [InlineData("a:ServerError", "b", "bcd", true)]
    [InlineData("a:ServerError b:ServerError", "", "cd", true)]
    [InlineData("a:ServerError b:ConnectionReset b:ConnectionReset", "", "cd", false)]
    [InlineData("a:ServerError b:ServerError c:ServerError", "", "d", true)]
    [InlineData("a:ServerError b:ServerError c:ServerError d:ServerError", "", "", true)]
    [InlineData("a:ServerError b:ServerError c:ServerError d:ServerError d:ServerError", "", "", true)]
    [InlineData("a:ServerError b:ServerError c:ServerError d:ServerError d:ServerError d:ServerError", "", "", false)]
    [InlineData("a:TimedOut", "b", "bcd", false)]
    [InlineData("a:FirstTokenTimedOut", "b", "bcd", false)]
    [InlineData("a:StreamStalled", "b", "bcd", false)]
    [InlineData("a:BadCredentials", "b", "bcd", false)]
    [InlineData("a:QuotaExhausted", "b", "bcd", false)]
    [InlineData("a:ModelAbsent", "b", "bcd", false)]
    [InlineData("a:ServerError a:TimedOut", "b", "bcd", false)]
    [InlineData("a:ContextTooLong", "", "cd", false)]
    [InlineData("c:ContextTooLong", "", "d", false)]
    [InlineData("c:ServerError", "ab", "abd", true)]
    [InlineData("d:ServerError", "abc", "abc", true)]
    public void Note_Attempts_LeaveTheseToAsk(string attempts, string peers, string others, bool again)
    {
        var plan = Plan(out _);
        var last = 0;
        AttemptOutcome outcome = new(OutcomeKind.Succeeded);
        foreach (var attempt in attempts.Split(' '))
        {
            last = attempt[0] - 'a';
            outcome = new AttemptOutcome(Enum.Parse<OutcomeKind>(attempt[2..]));
            plan.Note(last, outcome);
        }

        Assert.Equal(peers, Candidates(plan.PeersOf(last)));
        Assert.Equal(others, Candidates(plan.Any()));
        Assert.Equal(others.Length > 0, plan.HasOther(last));
        Assert.Equal(again, plan.WaitBeforeAgain(last, outcome) is not null);
    }

    [Fact]
    public void AnyBut_NothingTried_LeavesThatOneOut()
    {
        var plan = Plan(out _);
        Assert.Equal("bcd", Candidates(plan.AnyBut(0)));
        Assert.Equal("a", Candidates(plan.Again(0)));
        Assert.Equal("abcd", Candidates(plan.Any()));
        Assert.True(plan.Any(panic: true).Panic);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(5_000, true)]
    [InlineData(5_001, false)]
    [InlineData(3_600_000, false)]
    public void WaitBeforeAgain_RetryAfter_IsWaitedForUpToTheLimit(int milliseconds, bool waits)
    {
        var plan = Plan(out _);
        var outcome = new AttemptOutcome(OutcomeKind.RateLimited) { RetryAfter = TimeSpan.FromMilliseconds(milliseconds) };
        plan.Note(0, outcome);
        Assert.Equal(waits ? TimeSpan.FromMilliseconds(milliseconds) : null, plan.WaitBeforeAgain(0, outcome));
    }

    [Fact]
    public void WaitBeforeAgain_RateLimitWithoutATime_IsOneSecond()
    {
        var plan = Plan(out _);
        plan.Note(0, new(OutcomeKind.RateLimited));
        Assert.Equal(TimeSpan.FromSeconds(1), plan.WaitBeforeAgain(0, new(OutcomeKind.RateLimited)));
    }

    [Fact]
    public void WaitBeforeAgain_LongerThanWhatIsLeft_IsNull()
    {
        var plan = Plan(out var time, total: 3);
        var outcome = new AttemptOutcome(OutcomeKind.Overloaded) { RetryAfter = TimeSpan.FromSeconds(2) };
        plan.Note(0, outcome);
        Assert.NotNull(plan.WaitBeforeAgain(0, outcome));
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Null(plan.WaitBeforeAgain(0, outcome));
    }

    [Fact]
    public void WaitBeforeAgain_Backoff_DoublesWithJitterUpToFiveSeconds()
    {
        for (var seed = 1UL; seed <= 50; seed++)
        {
            var plan = Plan(out _, seed: seed, retries: 100, wait: 60);
            foreach (var full in new[] { 0.5, 1, 2, 4, 5, 5 })
            {
                var wait = plan.WaitBeforeAgain(0, new(OutcomeKind.ServerError))!.Value.TotalSeconds;
                Assert.True(wait >= full * 0.8 && wait < full * 1.2, $"seed {seed}: {wait} for {full}");
            }
        }
    }

    [Fact]
    public void ContinuationRefused_IsAskedAgainAtOnceForAReplay()
    {
        var plan = Plan(out _);
        Assert.False(plan.ContinuationRefused);
        plan.Note(0, new(OutcomeKind.PrefixRefused));
        Assert.True(plan.ContinuationRefused);
        Assert.Equal(TimeSpan.Zero, plan.WaitBeforeAgain(0, new(OutcomeKind.PrefixRefused)));
    }

    private static RetryPlan Plan(out ManualTime time, ulong seed = 1, int retries = 2, int wait = 5, int total = 3600)
    {
        time = new ManualTime();
        var pool = new Pool(_pool.Options with { RetryCount = retries, MaxRetryWait = TimeSpan.FromSeconds(wait), TotalTimeout = TimeSpan.FromSeconds(total) }, 1);
        return new RetryPlan(Exchanges.Of(pool, time), new Chance(seed));
    }

    private static string Candidates(AcquireRequest request) => string.Concat(Enumerable.Range(0, request.Pool.Backends.Length)
        .Where(index => Eligibility.Standing(request, index) == Obstacle.None).Select(index => request.Pool.Backends[index].Name));
}
