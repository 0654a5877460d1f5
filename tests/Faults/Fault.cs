using Roadbalancer.Backends;
using Roadbalancer.Proxy;
using Roadbalancer.Tests.Support;

namespace Roadbalancer.Tests.Faults;

/// <summary>Where a request may go after a fault, as issue and documentation say it.</summary>
internal enum Course
{
    /// <summary>To a peer at once; without one, once more to the same backend after a wait; then to a worse group.</summary>
    AgainAfterWait,

    /// <summary>To any other backend, never to the same.</summary>
    Elsewhere,

    /// <summary>To a worse group only.</summary>
    WorseGroup,

    /// <summary>Nowhere: the client gets the answer as it is.</summary>
    AsItIs,
}

/// <summary>One row of the class table: what a backend does, and what is to follow.</summary>
/// <param name="Script">What the faulty backend does each time.</param>
/// <param name="Kind">The class it is to be told as.</param>
/// <param name="Course">Where the request goes next.</param>
/// <param name="Blame">What the backend is blamed with.</param>
/// <param name="Status">What the client gets when nobody can help.</param>
/// <param name="Code">The error's code then.</param>
internal sealed record Fault(UpstreamScript Script, OutcomeKind Kind, Course Course, Blame Blame, int Status, string Code)
{
    /// <summary>The shortest wait before the same backend is asked again: half a second less a fifth where it named none.</summary>
    public TimeSpan LeastWait { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>How long the backend is left alone at least, a loaded machine allowed for.</summary>
    public TimeSpan LeastPark { get; init; }

    /// <summary>A failure that says when to come back, so that the backend is parked besides.</summary>
    public bool Parks { get; init; }

    /// <summary>Changes the faulty backend's configuration.</summary>
    public Func<Backend, Backend> Shape { get; init; } = backend => backend;

    /// <summary>The request never gets to the scripted upstream.</summary>
    public bool NeverArrives { get; init; }

    /// <summary>It can happen to a stream only.</summary>
    public bool StreamOnly { get; init; }

    /// <summary>The wait that the client is told; null for none.</summary>
    public string? RetryAfter { get; init; }
}
