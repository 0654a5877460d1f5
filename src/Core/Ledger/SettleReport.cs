using System.Collections.Immutable;

namespace Roadbalancer.Ledger;

/// <summary>What one settlement did, for the log of whoever asked for it.</summary>
/// <param name="IsComplete">Everything that had moved is known to be in the ledger; false: the next settlement goes on.</param>
/// <param name="Lines">In words, without secrets.</param>
internal sealed record SettleReport(bool IsComplete, ImmutableArray<string> Lines)
{
    /// <summary>Signals sent, repetitions included.</summary>
    public int Sent { get; init; }

    /// <summary>Backends whose totals moved and are known to be in the ledger.</summary>
    public int Settled { get; init; }
}
