using Roadbalancer.Backends;
using Roadbalancer.Health;
using Roadbalancer.Strategies;

namespace Roadbalancer.State;

/// <content>The choice of a backend.</content>
internal sealed partial class InMemoryState
{
    private Lease? TakeNeedsLock(Books books, View view, in AcquireRequest request, long nowMs)
    {
        // In panic too, a backend that works comes first.
        var count = CollectNeedsLock(view, request.Panic ? request with { Panic = false } : request, nowMs);
        if (count == 0)
        {
            return request.Panic ? TakeLeastBadNeedsLock(books, view, request, nowMs) : null;
        }

        var candidates = _candidates.AsSpan(0, count);
        var input = new PickInput
        {
            Turn = books.Turn,
            NowMs = nowMs,
            Roll1 = request.Roll1,
            Roll2 = request.Roll2,
            AffinityKey = request.AffinityKey,
            Ring = request.Pool.Ring,
        };
        var strategy = request.Pool.Strategy;
        var picked = count == 1 ? 0 : strategy.Pick(candidates, input);
        if (strategy.KeepsBalance)
        {
            SettleBalances(view, candidates, picked);
        }

        books.Turn++;
        return LeaseNeedsLock(view, candidates[picked].Index, request, nowMs, mayTry: true);
    }

    /// <summary>
    /// Fills the candidates with the best group that has a usable backend; backends in slow start that their roll did not admit are
    /// used only when the group has no other.
    /// </summary>
    private int CollectNeedsLock(View view, in AcquireRequest request, long nowMs)
    {
        var places = view.Places;
        if (_candidates.Length < places.Length)
        {
            _candidates = new Candidate[places.Length];
        }

        for (int start = 0, end; start < places.Length; start = end)
        {
            end = start + 1;
            while (end < places.Length && places[end].Priority == places[start].Priority)
            {
                end++;
            }

            var group = places.AsSpan(start, end - start);
            if (FillNeedsLock(group, Obstacle.None, request, nowMs) is var free and > 0)
            {
                return free;
            }

            if (request.SlowStartRoll > 0 && FillNeedsLock(group, Obstacle.SlowStart, request, nowMs) is var slow and > 0)
            {
                return slow;
            }
        }

        return 0;
    }

    private int FillNeedsLock(ReadOnlySpan<Place> group, Obstacle wanted, in AcquireRequest request, long nowMs)
    {
        var count = 0;
        var glance = wanted == Obstacle.None && Eligibility.AsksForNothing(request);
        var slowStartMs = (long)Math.Ceiling(request.Pool.Options.SlowStart.TotalMilliseconds);
        foreach (ref readonly var place in group)
        {
            if ((glance && place.TakesAny && Eligibility.IsClear(place.Vitals, place.MaxConnections, slowStartMs, nowMs))
                || ObstacleOf(place, request, nowMs) == wanted)
            {
                Fill(ref _candidates[count++], place, nowMs);
            }
        }

        return count;
    }

    private static Obstacle ObstacleOf(in Place place, in AcquireRequest request, long nowMs)
    {
        var standing = Eligibility.Standing(request, place.Index);
        return standing != Obstacle.None ? standing
            : Eligibility.Passing(request, request.Pool.Backends[place.Index], place.Vitals, nowMs);
    }

    private static void Fill(ref Candidate candidate, in Place place, long nowMs)
    {
        var vitals = place.Vitals;
        candidate.Index = place.Index;
        candidate.Weight = place.Weight;
        candidate.InFlight = vitals.InFlight;
        candidate.FailureLoad = vitals.FailureLoad == 0 ? 0 : Fading.At(vitals.FailureLoad, vitals.FailureLoadAtMs, nowMs);
        candidate.Balance = vitals.Balance;
        candidate.LatencyMs = vitals.LatencyMs;
        candidate.LatencyAtMs = vitals.LatencyAtMs;
    }

    private static void SettleBalances(View view, ReadOnlySpan<Candidate> candidates, int picked)
    {
        long total = 0;
        foreach (ref readonly var candidate in candidates)
        {
            total += candidate.Weight;
            view.Vitals[candidate.Index].Balance += candidate.Weight;
        }

        view.Vitals[candidates[picked].Index].Balance -= total;
    }

    /// <summary>
    /// Panic: of those that only their circuit or their credentials keep out, an open circuit before a wrong configuration, the earliest
    /// to be tried again first, in turn among equals. Priorities do not count: something that works is looked for.
    /// </summary>
    private Lease? TakeLeastBadNeedsLock(Books books, View view, in AcquireRequest request, long nowMs)
    {
        var best = -1;
        var bestRank = (Misconfigured: true, OpenUntilMs: long.MaxValue);
        var count = request.Pool.Backends.Length;
        for (var step = 0; step < count; step++)
        {
            var index = (int)((books.Turn + step) % count);
            var vitals = view.Vitals[index];
            var rank = (vitals.Misconfigured, vitals.Circuit == CircuitState.Closed ? 0 : vitals.OpenUntilMs);
            if ((best < 0 || rank.CompareTo(bestRank) < 0)
                && Eligibility.Standing(request, index) == Obstacle.None
                && Eligibility.Passing(request, request.Pool.Backends[index], vitals, nowMs) is Obstacle.None or Obstacle.SlowStart)
            {
                (best, bestRank) = (index, rank);
            }
        }

        books.Turn += best < 0 ? 0 : 1;
        return best < 0 ? null : LeaseNeedsLock(view, best, request, nowMs, mayTry: false);
    }

    /// <summary>Reserves the place. A request that meets an open circuit whose time is over becomes its trial; in panic it never does.</summary>
    private Lease LeaseNeedsLock(View view, int index, in AcquireRequest request, long nowMs, bool mayTry)
    {
        var vitals = view.Vitals[index];
        var id = ++_lastLeaseId;
        var isTrial = mayTry && vitals.Circuit != CircuitState.Closed;
        if (isTrial)
        {
            Circuit.BeginTrial(vitals, id, request.Pool.Backends[index].Timeout, nowMs);
        }

        vitals.InFlight++;
        return new Lease(request.Pool, index, id, vitals.Epoch, isTrial) { Model = request.Model };
    }
}
