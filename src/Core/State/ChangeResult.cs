namespace Roadbalancer.State;

/// <summary>What became of a change of the pool at run time; it is in force here in any case.</summary>
/// <param name="IsShared">The other instances know, or there are none; false: it is in force here alone until Redis answers.</param>
/// <param name="IsDurable">It outlives the loss of every process already; false: from the next settlement on.</param>
/// <param name="Version">The version of the run-time changes that has it.</param>
internal readonly record struct ChangeResult(bool IsShared, bool IsDurable, long Version);
