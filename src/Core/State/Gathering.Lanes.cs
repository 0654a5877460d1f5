using Roadbalancer.Backends;

namespace Roadbalancer.State;

/// <content>Those that wait, by their pool: after a change of the pool, requests of the new one come with outcomes of the old.</content>
internal sealed partial class Gathering
{
    private Lane LaneNeedsLock(Errand errand)
    {
        foreach (var lane in _lanes)
        {
            if (lane.Pool == errand.Pool)
            {
                return lane;
            }
        }

        _lanes.RemoveAll(static lane => lane.Count == 0);
        var added = new Lane(errand.Pool);
        _lanes.Add(added);
        return added;
    }

    /// <summary>The one that has waited for longest, of those that have urgent ones where one of these is <paramref name="wanted"/>.</summary>
    private Lane OldestNeedsLock(bool wanted)
    {
        var oldest = _lanes[0];
        for (var i = 1; i < _lanes.Count; i++)
        {
            var lane = _lanes[i];
            if (wanted ? lane.UrgentSince < oldest.UrgentSince : lane.OldestSince < oldest.OldestSince)
            {
                oldest = lane;
            }
        }

        return oldest;
    }

    private List<Errand> TakeNeedsLock(Lane lane, List<Errand> into, int urgent, int others)
    {
        _waiting -= urgent + others;
        _urgent -= urgent;
        for (; urgent > 0; urgent--)
        {
            into.Add(lane.Urgent.Dequeue());
        }

        for (; others > 0; others--)
        {
            into.Add(lane.Others.Dequeue());
        }

        return into;
    }

    private sealed class Lane(Pool pool)
    {
        public Pool Pool { get; } = pool;

        public Queue<Errand> Urgent { get; } = new();

        public Queue<Errand> Others { get; } = new();

        public int Count => Urgent.Count + Others.Count;

        /// <summary>When the oldest came; never, without one.</summary>
        public long OldestSince => Math.Min(UrgentSince, Others.TryPeek(out var other) ? other.Since : long.MaxValue);

        public long UrgentSince => Urgent.TryPeek(out var urgent) ? urgent.Since : long.MaxValue;

        public void Add(Errand errand) => (errand.IsUrgent ? Urgent : Others).Enqueue(errand);
    }
}
