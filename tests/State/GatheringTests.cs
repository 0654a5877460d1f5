using Roadbalancer.Backends;
using Roadbalancer.State;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.State;

/// <summary>Which errands go together, and when.</summary>
public sealed class GatheringTests
{
    private readonly ManualTime _time = new();
    private readonly List<(List<Errand> Errands, TaskCompletionSource<Exception?> Answer)> _calls = [];
    private readonly List<Errand> _givenUp = [];
    private readonly Pool _pool = Pools.Of("round_robin", 1);

    private readonly Gathering _gathering;

    public GatheringTests()
    {
        _gathering = new Gathering(
            _time,
            _ => 4,
            errands =>
            {
                _calls.Add((errands, new TaskCompletionSource<Exception?>()));
                return new(_calls[^1].Answer.Task);
            },
            (errand, _) => _givenUp.Add(errand));
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
        Assert.Equal([gathered, urgent], _calls[1].Errands);
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
        var other = new Note(Pools.Of("random", 1), isUrgent: true);
        _gathering.Add(other);
        Answer(0);
        Answer(1);
        Assert.Equal([mine], _calls[1].Errands);
        Assert.Equal([other], _calls[2].Errands);
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

    private Note Add(bool urgent = true)
    {
        var errand = new Note(_pool, urgent);
        _gathering.Add(errand);
        return errand;
    }

    private void Answer(int call, Exception? fault = null) => _calls[call].Answer.SetResult(fault);

    private sealed class Note(Pool pool, bool isUrgent) : Errand(pool)
    {
        public override bool IsUrgent => isUrgent;

        public bool HasEnded { get; private set; }

        public Exception? Fault { get; private set; }

        public override void End(Exception? fault) => (HasEnded, Fault) = (true, fault);
    }
}
