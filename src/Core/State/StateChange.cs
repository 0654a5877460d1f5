using Roadbalancer.Health;

namespace Roadbalancer.State;

/// <summary>What a store reports when an outcome changed a backend's standing.</summary>
/// <param name="Pool">The pool's name.</param>
/// <param name="Backend">The backend's name.</param>
/// <param name="Kinds">What changed; several may come together.</param>
/// <param name="Cause">The outcome that did it, in a few words.</param>
/// <param name="Model">The model that was found absent; null for any other change.</param>
/// <param name="OpenFor">How long the circuit stays open; zero where it is not.</param>
/// <param name="ParkedFor">How long the backend stays parked; zero where it is not.</param>
internal readonly record struct StateChange(
    string Pool, string Backend, Transitions Kinds, string Cause, string? Model, TimeSpan OpenFor, TimeSpan ParkedFor);
