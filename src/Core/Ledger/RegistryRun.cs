namespace Roadbalancer.Ledger;

/// <summary>Operations on one <see cref="RegistryEntity"/>, one after the other.</summary>
/// <param name="state">The state before the first; null for none.</param>
internal sealed class RegistryRun(string? state) : IEntityRun
{
    public string? State { get; private set; } = state;

    public (string? Result, string? Error) Apply(string operation, string? input)
    {
        var reply = RegistryEntity.Apply(State, operation, input);
        State = reply.State;
        return (reply.Result, reply.Error);
    }
}
