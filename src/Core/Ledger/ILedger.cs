namespace Roadbalancer.Ledger;

/// <summary>
/// Where entities live that outlast every instance: durable entities under the Functions host, files alone. A signal may be lost, doubled,
/// late or out of order, so that nothing may rely on one: what matters is read back, and sent again.
/// </summary>
/// <remarks>Every method throws <see cref="LedgerException"/> when the ledger fails, and is bounded in time by the ledger itself.</remarks>
internal interface ILedger
{
    /// <summary>Sends an operation. Ends when the ledger has taken it over, which does not mean that it has been carried out.</summary>
    /// <param name="entity"><see cref="BackendEntity.Name"/>, <see cref="KeyEntity.Name"/> or <see cref="RegistryEntity.Name"/>.</param>
    /// <param name="key">An <see cref="EntityKey"/>.</param>
    Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken);

    /// <summary>The state of one entity, JSON; null when there is none.</summary>
    Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken);

    /// <summary>The states of all entities of one kind, by key.</summary>
    Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken);
}

/// <summary>A ledger did not do what was asked of it; the message names what and is free of secrets.</summary>
internal sealed class LedgerException(string message, Exception? inner = null) : Exception(message, inner);
