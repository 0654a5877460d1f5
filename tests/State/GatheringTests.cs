using Roadbalancer.Backends;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>Which errands go together, and when.</summary>
public sealed class GatheringTests
{
    private readonly ManualTime _time = new();
    private readonly List<(List<Errand> Errands, TaskCompletionSource<SharedStateException?> Answer)> _calls = [];
    private readonly List<Errand> _givenUp = [];
    private readonly List<Errand> _ended = [];
    private readonly Pool _pool = Pools.Of("round_robin", 1);
    private readonly Pool _otherPool = Pools.Of("random", 1);

    private readonly Gathering _gathering;

    public GatheringTests()
    {
        _gathering = new Gathering(
            _time,
            TimeSpan.FromSeconds(1),
            _ => 4,
            errands =>
            {
                _calls.Add((errands, new TaskCompletionSource<SharedStateException?>()));
                return new(_calls[^1].Answer.Task);
            },
            _givenUp.Add);
    }

    [Fact]
    public void Add_NothingUnderWay_GoesAtOnceAndAlone()
    {
        var first = Add();
        Assert.Equal([first], Assert.Single(_calls).Errands);
        Answer(0);
        var second = Add();
        Assert.Equal([second], _calls[1].Errands);
    }

    [Fact]
    public void Add_CallUnderWay_GoTogetherWhenItReturns()
    {
        Add();
        Errand[] gathered = [Add(), Add(), Add()];
        Assert.Single(_calls);
        Answer(0);
        Assert.Equal(gathered, _calls[1].Errands);
        Assert.All(gathered, errand => Assert.False(((Note)errand).HasEnded));
        Answer(1);
        Assert.All(gathered, errand => Assert.True(((Note)errand).HasEnded));
    }

    [Fact]
    public void Add_UrgentWhileOnlyOthersAreUnderWay_GoesAtOnceWithWhatHasGathered()
    {
        Add(urgent: false);
        var gathered = Add(urgent: false);
        var urgent = Add();
        Assert.Equal([urgent, gathered], _calls[1].Errands);
        Errand[] behind = [Add(), Add(urgent: false)];
        Assert.Equal(2, _calls.Count);
        Answer(0);
        Assert.Equal(2, _calls.Count);
        Answer(1);
        Assert.Equal(behind, _calls[2].Errands);
    }

    [Fact]
    public void Add_NotUrgentWhileUrgentAreUnderWay_WaitsForThem()
    {
        Add();
        var outcome = Add(urgent: false);
        Assert.Single(_calls);
        Answer(0);
        Assert.Equal([outcome], _calls[1].Errands);
    }

    [Fact]
    public void Add_CallTakesLongerThanTheStagger_GoesWithWhatHasGathered()
    {
        Add();
        var early = Add();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Single(_calls);
        var late = Add();
        Assert.Equal([early, late], _calls[1].Errands);
    }

    [Fact]
    public void Add_AsManyGatheredAsOneCallMayCarry_GoWithoutWaiting()
    {
        Add();
        Errand[] gathered = [Add(), Add(), Add(), Add()];
        var next = Add();
        Assert.Equal(gathered, _calls[1].Errands);
        Answer(0);
        Assert.Equal(2, _calls.Count);
        Answer(1);
        Assert.Equal([next], _calls[2].Errands);
    }

    [Fact]
    public void Add_NothingIsAnswered_FewCallsAreUnderWay()
    {
        for (var i = 0; i < 100; i++)
        {
            Add();
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(8, _calls.Count);
    }

    [Fact]
    public void Add_TwoPools_ACallEach()
    {
        Add();
        var mine = Add();
        var other = Add(pool: _otherPool);
        Answer(0);
        Answer(1);
        Assert.Equal([mine], _calls[1].Errands);
        Assert.Equal([other], _calls[2].Errands);
    }

    [Fact]
    public void Add_TwoPoolsByTurns_EachGoesTogether()
    {
        Add();
        Errand[] outcomes = [Add(urgent: false), Add(pool: _otherPool), Add(urgent: false), Add(pool: _otherPool), Add(urgent: false)];
        Answer(0);
        Assert.Equal([outcomes[1], outcomes[3]], _calls[1].Errands);
        Answer(1);
        Assert.Equal([outcomes[0], outcomes[2], outcomes[4]], _calls[2].Errands);
    }

    [Fact]
    public void Add_UrgentBehindOutcomesOfAnotherPool_GoesAtOnce()
    {
        Add(urgent: false);
        var outcome = Add(urgent: false);
        var urgent = Add(pool: _otherPool);
        Assert.Equal([urgent], _calls[1].Errands);
        Answer(0);
        Answer(1);
        Assert.Equal([outcome], _calls[2].Errands);
    }

    [Fact]
    public void Add_UrgentBehindMoreOutcomesThanOneCallCarries_GoesWithTheFirstOfThem()
    {
        Add();
        for (var i = 0; i < Gathering.MostAtOnce - 1; i++)
        {
            Add(urgent: false);
        }

        var urgent = Add();
        Assert.Equal(Gathering.MostAtOnce, _calls[1].Errands.Count);
        Assert.Contains(urgent, _calls[1].Errands);
    }

    [Fact]
    public void Add_OutcomesAloneAreNotAnswered_OneCallIsLeftForTheUrgent()
    {
        for (var i = 0; i < 50; i++)
        {
            Add(urgent: false);
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.Equal(7, _calls.Count);
        var urgent = Add();
        Assert.Contains(urgent, _calls[7].Errands);
    }

    [Fact]
    public void Add_MoreOutcomesThanUrgentMayBeCarried_GoTogether()
    {
        Add();
        Errand[] outcomes = [.. Enumerable.Range(0, 100).Select(_ => Add(urgent: false))];
        Assert.Single(_calls);
        Answer(0);
        Assert.Equal(outcomes, _calls[1].Errands);
    }

    [Fact]
    public void Add_SomeHaveWaitedForTooLong_EndWithOneTimeOutAndAreNotSent()
    {
        for (var i = 0; i < 8; i++)
        {
            Add();
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Note[] late = [Add(urgent: false), Add()];
        _time.Advance(TimeSpan.FromMilliseconds(1001));
        var next = Add();
        Assert.Equal([late[1], late[0]], _ended);
        Assert.Equal(_ended, _givenUp);
        Assert.True(late[0].Fault is SharedStateException { IsTimeout: true });
        Assert.Same(late[0].Fault, late[1].Fault);
        Answer(0);
        Assert.Equal([next], _calls[8].Errands);

        // Those under way then met the same pause.
        var fault = new SharedStateException("slow");
        Answer(1, fault);
        Assert.False(fault.TryCount());
    }

    [Fact]
    public void Returned_SomeHaveWaitedForTooLong_EndWithATimeOut()
    {
        for (var i = 0; i < 8; i++)
        {
            Add();
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var late = Add();
        _time.Advance(TimeSpan.FromMilliseconds(1001));
        Answer(0);
        Assert.True(late.Fault is SharedStateException { IsTimeout: true });
        Assert.Equal(8, _calls.Count);
    }

    [Theory]
    [InlineData("more backends than the store has room for", false)]
    [InlineData("no answer within 250 ms", true)]
    [InlineData("the connection is lost", true)]
    public void Returned_CallOfOnePoolFailed_OthersFailOnlyWhereTheyWouldMeetTheSame(string reason, bool all)
    {
        Add();
        var mine = Add();
        var other = Add(pool: _otherPool);
        Answer(0, new SharedStateException(reason));
        Assert.Equal((true, all), (mine.HasEnded, other.HasEnded));
        Assert.Equal(all ? 1 : 2, _calls.Count);
    }

    [Fact]
    public void Returned_CallFailed_ThoseSomebodyWaitsForEndFirst()
    {
        Add(urgent: false);
        var (outcome, urgent) = (Add(urgent: false), Add());
        var gathered = Add();
        Answer(1, new SharedStateException("gone"));
        Assert.Equal([urgent, gathered, outcome], _ended);
    }

    [Fact]
    public void Returned_CallFailed_WhatGatheredFailsWithItAndTheNextIsTried()
    {
        var sent = Add();
        var gathered = Add();
        var fault = new SharedStateException("gone");
        Answer(0, fault);
        Assert.Single(_calls);
        Assert.Equal([sent, gathered], _givenUp);
        Assert.All([sent, gathered], errand => Assert.Same(fault, errand.Fault));
        Assert.True(fault.TryCount());
        var next = Add();
        Assert.Equal([next], _calls[1].Errands);
    }

    [Fact]
    public void Returned_SeveralUnderWayFail_CountOnce()
    {
        SharedStateException[] faults = [new("slow"), new("slow"), new("slow")];
        foreach (var _ in faults)
        {
            Add();
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        for (var i = 0; i < faults.Length; i++)
        {
            Answer(i, faults[i]);
        }

        Assert.Equal([true, false, false], faults.Select(fault => fault.TryCount()));
        Add();
        var later = new SharedStateException("slow");
        Answer(3, later);
        Assert.True(later.TryCount());
    }

    private Note Add(bool urgent = true, Pool? pool = null)
    {
        var errand = new Note(pool ?? _pool, urgent, _ended);
        _gathering.Add(errand);
        return errand;
    }

    private void Answer(int call, SharedStateException? fault = null) => _calls[call].Answer.SetResult(fault);

    private sealed class Note(Pool pool, bool isUrgent, List<Errand> ended) : Errand(pool)
    {
        public override bool IsUrgent => isUrgent;

        public bool HasEnded { get; private set; }

        public Exception? Fault { get; private set; }

        public override void End(Exception? fault)
        {
            (HasEnded, Fault) = (true, fault);
            ended.Add(this);
        }
    }
}
