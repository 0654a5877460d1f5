namespace Roadbalancer.Tests.Support;

/// <summary>Tests under load, or of the process's own memory: they run while no others do.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
