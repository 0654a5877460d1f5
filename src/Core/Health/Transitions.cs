namespace Roadbalancer.Health;

/// <summary>What a settled outcome changed about a backend's standing; several may come together.</summary>
[Flags]
internal enum Transitions
{
    None = 0,

    /// <summary>The circuit opened from closed.</summary>
    Opened = 1,

    /// <summary>The circuit closed: a trial, a probe or a panic request passed.</summary>
    Closed = 2,

    /// <summary>The trial failed: open again, for longer.</summary>
    TrialFailed = 4,

    /// <summary>It refused our credentials and had not before.</summary>
    Misconfigured = 8,

    /// <summary>It takes our credentials again.</summary>
    CredentialsAccepted = 16,

    /// <summary>It asked to be left alone and was not parked before.</summary>
    Parked = 32,

    /// <summary>It was found not to have a model.</summary>
    ModelAbsent = 64,
}
