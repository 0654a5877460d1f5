namespace Roadbalancer.Ledger;

/// <summary>Operations on one durable entity, one after the other. Pure, and throws for nothing.</summary>
internal interface IEntityRun
{
    /// <summary>The state after the last operation; null when the entity is no more, or never was.</summary>
    string? State { get; }

    /// <summary>Does one operation: its result, or why nothing was changed by it.</summary>
    (string? Result, string? Error) Apply(string operation, string? input);
}
