using Roadbalancer.Backends;
using Roadbalancer.Proxy;

namespace Roadbalancer.State;

/// <summary>What an instance decided by itself, for the store. It may be sent again and again: the number sees to it that it counts once.</summary>
/// <param name="Holder">The instance's own number.</param>
/// <param name="Number">Grows with each report.</param>
/// <param name="InFlight">All its requests in flight, by place: not what was added since, so that one lost report is mended by the next.</param>
/// <param name="Events">Since the last report, in their order.</param>
internal sealed record LoadReport(long Holder, long Number, IReadOnlyList<KeyValuePair<(Pool Pool, int Index), int>> InFlight, IReadOnlyList<Decided> Events);

/// <summary>One thing that an instance decided by itself.</summary>
/// <param name="Lease">Of its own memory.</param>
/// <param name="Outcome">How it ended; null for a trial that began.</param>
/// <param name="JitterRoll">The roll that memory settled it with.</param>
internal readonly record struct Decided(Lease Lease, AttemptOutcome? Outcome, double JitterRoll);
