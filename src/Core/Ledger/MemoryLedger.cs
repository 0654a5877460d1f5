using System.Collections.Concurrent;

namespace Roadbalancer.Ledger;

/// <summary>The entities of a process that keeps nothing: hours and totals for as long as it lives.</summary>
internal sealed class MemoryLedger : ILedger
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<(string Entity, string Key), string> _states = new();

    /// <summary>What either ledger of a process does with an operation.</summary>
    public static EntityReply Apply(string entity, string? state, string operation, string input) => entity == RegistryEntity.Name
        ? RegistryEntity.Apply(state, operation, input)
        : BackendEntity.Apply(state, operation, input);

    public Task SignalAsync(string entity, string key, string operation, string inputJson, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            var reply = Apply(entity, _states.GetValueOrDefault((entity, key)), operation, inputJson);
            if (reply.Error is { } error)
            {
                throw new LedgerException($"{entity}: {error}");
            }

            if (reply.State is { } state)
            {
                _states[(entity, key)] = state;
            }
            else
            {
                _states.TryRemove((entity, key), out _);
            }
        }

        return Task.CompletedTask;
    }

    public Task<string?> ReadAsync(string entity, string key, CancellationToken cancellationToken) => Task.FromResult(_states.GetValueOrDefault((entity, key)));

    public Task<IReadOnlyDictionary<string, string>> ListAsync(string entity, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyDictionary<string, string>>(
            _states.Where(pair => pair.Key.Entity == entity).ToDictionary(pair => pair.Key.Key, pair => pair.Value, StringComparer.Ordinal));
}
